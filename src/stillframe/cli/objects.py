"""A bucket of the object storage, with signed URLs: what little the command itself needs of S3.

obstore reads and writes objects but cannot create a bucket. It signs any URL of a bucket though, the bucket's own too,
so the library's signature serves every request and no second implementation of it is needed.
"""

import ipaddress
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, Self
from urllib.parse import urlsplit

import obstore
import requests
from obstore.exceptions import BaseError
from obstore.store import S3Store

from stillframe.cli.api import Api
from stillframe.cli.errors import CliError, ExitCode, find_remedy
from stillframe.cli.output import say

if TYPE_CHECKING:
    from obstore.store import S3Credential

_PART_BYTES = 8 * 1024 * 1024
_URL_VALID = timedelta(minutes=15)
Method = Literal["GET", "HEAD", "PUT", "DELETE"]


class Bucket:
    def __init__(self, api: Api, name: str, *, verbose: bool = False) -> None:
        cloud = api.cloud
        if not (cloud.access_key and cloud.secret_key):
            raise CliError(
                f"cloud {cloud.name!r} in {cloud.source} has no keys for the object storage",
                exit_code=ExitCode.AUTHENTICATION,
                hint="add `ak` and `sk` to it",
            )
        self.name = name
        self.endpoint = api.endpoint("object")
        self._region = cloud.region_name
        self._http = requests.Session()
        self._http.trust_env = api.session.session.trust_env
        self._verify = cloud.verify
        self._timeout_s = cloud.timeout_s
        self._credential: S3Credential = {
            "access_key_id": cloud.access_key,
            "secret_access_key": cloud.secret_key,
            "expires_at": None,
        }
        self._verbose = verbose
        self._store = self._open_store()

    def create(self) -> None:
        self._request("PUT")

    def exists(self) -> bool:
        return self._request("HEAD", missing_ok=True).status_code != 404

    def delete(self) -> None:
        self._request("DELETE", missing_ok=True)

    def object_size(self, key: str) -> int | None:
        answer = self._request("HEAD", key, missing_ok=True)
        return None if answer.status_code == 404 else int(answer.headers["Content-Length"])

    def read_object(self, key: str, first_bytes: int) -> bytes:
        return self._request("GET", key, headers={"Range": f"bytes=0-{first_bytes - 1}"}).content

    def upload(self, file: Path, key: str, on_piece: Callable[[bytes, int], None]) -> None:
        """In parts, several at a time. `on_piece` gets each piece in order, and the bytes read so far.

        Nothing of it remains when this fails or is interrupted.
        """
        with file.open("rb") as opened, ThreadPoolExecutor(1) as thread:
            pieces = _Pieces(opened, on_piece)
            # Ctrl-C does not reach a thread that waits for obstore. What it uploads is taken back when its pieces end
            # with an error.
            done = thread.submit(
                obstore.put, self._store, key, pieces, use_multipart=True, chunk_size=_PART_BYTES, max_concurrency=4
            )
            try:
                done.result()
            except BaseError as error:
                text = f"the object storage at {self.endpoint} did not take {self.name}:{key}: {type(error).__name__}"
                raise CliError(text, exit_code=ExitCode.UNREACHABLE) from None
            except KeyboardInterrupt:
                pieces.stop()
                if done.exception() is None:
                    self.delete_object(key)
                raise
        if self._verbose:
            say(f"# {file} is put to {self.endpoint}/{self.name}/{key} in parts")

    def delete_object(self, key: str) -> None:
        self._request("DELETE", key, missing_ok=True)

    def _open_store(self) -> S3Store:
        """Keys come through a provider, because the other way AWS_SESSION_TOKEN of this shell would be mixed in."""
        url = urlsplit(self.endpoint)
        by_host = not _is_address(url.hostname or "")
        credential = self._credential
        return S3Store(
            self.name,
            endpoint=f"{url.scheme}://{self.name}.{url.netloc}" if by_host else self.endpoint,
            region=self._region or "us-east-1",
            virtual_hosted_style_request=by_host,
            credential_provider=lambda: credential,
            client_options={"allow_http": True},
        )

    def _request(
        self, method: Method, key: str = "", *, headers: dict[str, str] | None = None, missing_ok: bool = False
    ) -> requests.Response:
        signed = obstore.sign(self._store, method, key, _URL_VALID)
        try:
            answer = self._http.request(method, signed, headers=headers, verify=self._verify, timeout=self._timeout_s)
        except requests.RequestException as error:
            text = f"the object storage at {self.endpoint} cannot be reached: {type(error).__name__}"
            raise CliError(text, exit_code=ExitCode.UNREACHABLE) from None
        if self._verbose:
            self._tell(method, signed.partition("?")[0], answer)
        if answer.status_code < 400 or (missing_ok and answer.status_code == 404):
            return answer
        text = f"{method} {self.name}:{key} answered {answer.status_code} {answer.text[:300]}"
        raise CliError(text, exit_code=find_remedy("", answer.status_code).exit_code, status=answer.status_code)

    def _tell(self, method: Method, url: str, answer: requests.Response) -> None:
        """What curl would need: it signs by itself."""
        sign = f'--aws-sigv4 "aws:amz:{self._region}:s3" --user "$AK:$SK"'
        say(f"curl -sS {'-I' if method == 'HEAD' else f'-X {method}'} {sign} {url}")
        say(f"#   {answer.status_code} {answer.reason}")


class _Pieces:
    """A file in pieces, until somebody does not want them any more."""

    class StoppedError(Exception):
        pass

    def __init__(self, opened: BinaryIO, on_piece: Callable[[bytes, int], None]) -> None:
        self._opened = opened
        self._on_piece = on_piece
        self._done = 0
        self._is_stopped = False

    def stop(self) -> None:
        self._is_stopped = True

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._is_stopped:
            raise _Pieces.StoppedError
        piece = self._opened.read(_PART_BYTES)
        if not piece:
            raise StopIteration
        self._done += len(piece)
        self._on_piece(piece, self._done)
        return piece


def _is_address(host: str) -> bool:
    """No host name can be put in front of an address, so the bucket goes into the path there."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True
