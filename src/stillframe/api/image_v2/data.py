"""An image's bytes: PUT and GET .../file, PUT .../stage."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, cast

from litestar import Request, Response, get, put
from litestar.exceptions import HTTPException
from litestar.response import Stream
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import ASGIApp, HTTPReceiveMessage, Message, Receive, Scope, Send

from stillframe.api.image_v2 import conditions
from stillframe.api.image_v2.conditions import Validators
from stillframe.api.image_v2.routes import media_type
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.images import download, upload
from stillframe.images.download import StoredData
from stillframe.images.errors import UploadIncompleteError
from stillframe.images.stores import STORE_ID
from stillframe.jobs.resources import Resources

AnyRequest = Request[Any, Any, Any]

IDLE_TIMEOUT_S = 300.0
"""An upload that brings nothing for so long is given up, for its image can take no other meanwhile."""

_OCTETS = "application/octet-stream"
_ZERO_COPY = "http.response.zerocopysend"
_RANGE = re.compile(r"bytes=(\d{0,40})-(\d{0,40})", re.ASCII | re.IGNORECASE)
_SIZE = re.compile(r"\d{1,18}", re.ASCII)


@put("/v2/images/{image_id:str}/file", status_code=204, request_max_body_size=None)
async def upload_image_data(request: AnyRequest, image_id: str, caller: Caller, resources: Resources) -> None:
    require_octets(request)
    require_known_store(request)
    await upload.upload_data(resources, caller, image_id, received(request), announced_bytes=announced_bytes(request))


@put("/v2/images/{image_id:str}/stage", status_code=204, request_max_body_size=None)
async def stage_image_data(request: AnyRequest, image_id: str, caller: Caller, resources: Resources) -> None:
    if "glance-direct" not in resources.settings.import_methods:
        raise HTTPException(status_code=404, detail="'glance-direct' method is not available at this site.")
    require_octets(request)
    await upload.stage_data(resources, caller, image_id, received(request), announced_bytes=announced_bytes(request))


def require_octets(request: AnyRequest) -> None:
    if media_type(request) != _OCTETS:
        raise HTTPException(status_code=415, detail=f"The content type must be {_OCTETS}.")


def require_known_store(request: AnyRequest) -> None:
    if request.headers.get("x-image-meta-store", STORE_ID) != STORE_ID:
        raise InvalidInputError("There is no such store.", field="x-image-meta-store")


async def received(request: AnyRequest) -> AsyncIterator[bytes]:
    """The body as it comes in.

    Raises: UploadIncompleteError when the client goes away in the middle, or is silent for too long.
    """
    while True:
        message = await _next_message(request)
        if message["type"] == "http.disconnect":
            raise UploadIncompleteError
        if message["type"] == "http.request":
            yield message["body"]
            if not message.get("more_body", False):
                return


async def _next_message(request: AnyRequest) -> HTTPReceiveMessage:
    try:
        async with asyncio.timeout(IDLE_TIMEOUT_S):
            return cast("HTTPReceiveMessage", await request.receive())
    except TimeoutError:
        raise UploadIncompleteError("The client sent nothing for too long.") from None


def announced_bytes(request: AnyRequest) -> int | None:
    """By x-openstack-image-size, which a client sends when it sends its data in pieces of unknown number."""
    announced = [
        request.headers[name] for name in ("x-openstack-image-size", "content-length") if name in request.headers
    ]
    if not all(_SIZE.fullmatch(one) for one in announced) or len(set(announced)) > 1:
        raise InvalidInputError("x-openstack-image-size must be the number of bytes in the body.")
    return int(announced[0]) if announced else None


@get("/v2/images/{image_id:str}/file")
async def download_image_data(
    request: AnyRequest, image_id: str, caller: Caller, resources: Resources
) -> Response[Any]:
    stored = await download.open_data(resources, caller, image_id)
    if stored is None:
        return Response(None, status_code=204)
    validators = Validators(etag=stored.checksum, modified_at=stored.modified_at)
    status = conditions.outcome(request.headers, validators)
    if status != conditions.OK:
        stored.file.close()
        return _without_data(status, validators)
    asked = request.headers.get("range") if conditions.range_applies(request.headers, validators) else None
    wanted = _wanted_range(asked, stored)
    if wanted is None:
        headers = {"Content-MD5": stored.checksum} if stored.checksum else {}
        return _StoredBytes(stored, 0, stored.size_bytes, 200, headers | validators.headers())
    start, length = wanted
    headers = {"Content-Range": f"bytes {start}-{start + length - 1}/{stored.size_bytes}"}
    return _StoredBytes(stored, start, length, 206, headers | validators.headers())


def _without_data(status: int, validators: Validators) -> Response[None]:
    if status == conditions.PRECONDITION_FAILED:
        raise HTTPException(
            status_code=status, detail="The data is not what was asked for.", headers=validators.headers()
        )
    return Response(None, status_code=status, headers=validators.headers())


class _StoredBytes(Stream):
    """A range of a file, sent by the kernel where the server can do that, else in chunks."""

    def __init__(self, stored: StoredData, start: int, length: int, status: int, headers: dict[str, str]) -> None:
        self._file, self._start, self._length = stored.file, start, length
        super().__init__(
            download.read_range(stored.file, start, length),
            status_code=status,
            media_type=_OCTETS,
            headers={"Content-Length": str(length), "Accept-Ranges": "bytes", **headers},
        )

    def to_asgi_response(self, *args: Any, **options: Any) -> ASGIApp:  # type: ignore[override]
        in_chunks = cast("ASGIStreamingResponse", super().to_asgi_response(*args, **options))

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if _ZERO_COPY not in (scope.get("extensions") or {}):
                await in_chunks(scope, receive, send)
                return
            with self._file:
                await in_chunks.start_response(send)
                await send(
                    cast(
                        "Message",
                        {"type": _ZERO_COPY, "file": self._file, "offset": self._start, "count": self._length},
                    )
                )

        return answer


def _wanted_range(header: str | None, stored: StoredData) -> tuple[int, int] | None:
    """(start, length) of a single range; anything else in the header asks for everything, as RFC 9110 has it."""
    matched = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if matched is None or not any(matched.groups()):
        return None
    first, last = matched[1], matched[2]
    start = int(first) if first else max(stored.size_bytes - int(last), 0)
    end = min(int(last), stored.size_bytes - 1) if first and last else stored.size_bytes - 1
    if first and last and int(last) < int(first):
        return None
    if start >= stored.size_bytes or end < start:
        stored.file.close()
        raise HTTPException(
            status_code=416,
            detail="The requested range lies outside of the data.",
            headers={"Content-Range": f"bytes */{stored.size_bytes}"},
        )
    return start, end - start + 1


handlers = [upload_image_data, stage_image_data, download_image_data]
