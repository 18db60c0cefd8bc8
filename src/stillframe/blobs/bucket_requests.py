"""The two requests about a whole bucket which obstore cannot make: is it there, and make it.

obstore can sign a URL for them, so the standard library only carries it.
"""

import asyncio
import urllib.error
import urllib.request
from email.message import Message
from typing import NamedTuple

from stillframe.errors import BucketUnreachableError

_TIMEOUT_S = 10.0


class Answer(NamedTuple):
    status: int
    region: str | None
    """Of the bucket, where the store tells: some have none, and some keep it to themselves."""


async def send(method: str, presigned_url: str, body: bytes | None, *, through_proxy: bool) -> Answer:
    """The answer, whatever its HTTP status is.

    Raises: BucketUnreachableError when there is none.
    """
    return await asyncio.to_thread(_send, method, presigned_url, body, through_proxy)


def _send(method: str, url: str, body: bytes | None, through_proxy: bool) -> Answer:  # noqa: FBT001
    handlers = [] if through_proxy else [urllib.request.ProxyHandler({})]
    opener = urllib.request.build_opener(*handlers, _NoRedirect)
    request = urllib.request.Request(url, data=body, method=method)  # noqa: S310 - the operator's endpoint
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            return _answer(answer.status, answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.headers)
    except OSError as error:
        # The URL carries a signature, so only the host's answer is kept.
        raise BucketUnreachableError(cause=repr(error)) from None


def _answer(status: int, headers: Message) -> Answer:
    return Answer(status, headers.get("x-amz-bucket-region") or None)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A signature holds for one host only; 301 tells that the bucket is in another region."""

    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        return None
