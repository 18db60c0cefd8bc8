"""Downloading an image: streamed into a hidden file beside the target, verified, then renamed."""

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import requests

from stillframe.cli.api import Api
from stillframe.cli.errors import CliError, ExitCode
from stillframe.cli.lookup import quoted
from stillframe.cli.progress import Display, Status

CHUNK_BYTES = 1024 * 1024
READ_TIMEOUT_S = 900.0
"""The service may have to flatten an image before its first byte comes."""
_DISPLAY_S = 0.1


@dataclass(frozen=True)
class Saved:
    size_bytes: int
    algorithm: str
    """Empty when the service tells no checksum."""
    digest: str

    def as_dict(self) -> dict[str, object]:
        return {"size": self.size_bytes, "algorithm": self.algorithm, "digest": self.digest}

    def describe_check(self) -> str:
        return f"{self.algorithm} verified" if self.algorithm else "not verified: the service tells no checksum"


def save_to_file(api: Api, image_id: str, file: Path, *, replace: bool, display: Display) -> Saved:
    """Raises: CliError; whatever happens, `file` is either complete and verified or as it was before."""
    _refuse_target(file, replace=replace)
    path = f"/v2/images/{quoted(image_id)}"
    with _new_file_beside(file) as (output, temporary):
        timeout = (api.cloud.timeout_s, READ_TIMEOUT_S)
        with api.request("GET", "image", f"{path}/file", stream=True, timeout=timeout) as response:
            if response.status_code == 204:
                raise CliError(f"image {image_id} has no data yet", exit_code=ExitCode.CONFLICT)
            # Only now: checksum and size of a freshly captured image are known once its bytes can be read.
            image = api.get("image", path)
            saved = _receive(response, image, output, display)
        _move_into_place(temporary, file, replace=replace)
    return saved


def _refuse_target(file: Path, *, replace: bool) -> None:
    if file.is_symlink() or file.exists():
        if not file.is_file():
            raise CliError(f"{file} is not a regular file", exit_code=ExitCode.USAGE)
        if not replace:
            raise CliError(
                f"{file} exists already", exit_code=ExitCode.CONFLICT, hint="choose another name, or --force"
            )


@contextlib.contextmanager
def _new_file_beside(file: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """In the same directory, so that the last step is a rename; gone afterwards unless it was renamed."""
    try:
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name[:100]}.", suffix=".part")
    except OSError as error:
        raise CliError(f"{file.parent} cannot be written to: {error.strerror}", exit_code=ExitCode.USAGE) from None
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as output:
            yield output, temporary
    finally:
        temporary.unlink(missing_ok=True)


def _receive(response: requests.Response, image: Mapping[str, Any], output: BinaryIO, display: Display) -> Saved:
    algorithm, expected = _expected_digest(image, response.headers)
    hasher = hashlib.new(algorithm) if algorithm else None
    total = int(response.headers.get("Content-Length") or image.get("size") or 0)
    done, shown_at = 0, 0.0
    for chunk in _chunks(response):
        if hasher:
            hasher.update(chunk)
        _write(output, chunk)
        done += len(chunk)
        if (now := time.monotonic()) - shown_at > _DISPLAY_S or done == total:
            shown_at = now
            display.update(_status(done, total))
    if total and done != total:
        raise CliError(f"the download broke off: {done} of {total} bytes", exit_code=ExitCode.UNREACHABLE)
    digest = hasher.hexdigest() if hasher else ""
    if digest != expected:
        raise CliError(
            f"the bytes received are not the image's: {algorithm} is {digest}, should be {expected}",
            hint="try again; if it stays wrong, the stored image is damaged",
        )
    _flush(output)
    return Saved(done, algorithm, digest)


def _expected_digest(image: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[str, str]:
    algorithm = str(image.get("os_hash_algo") or "")
    if image.get("os_hash_value") and algorithm in hashlib.algorithms_available:
        return algorithm, str(image["os_hash_value"]).lower()
    if md5 := image.get("checksum") or headers.get("Content-MD5"):
        return "md5", str(md5).lower()
    return "", ""


def _chunks(response: requests.Response) -> Iterator[bytes]:
    try:
        yield from response.iter_content(CHUNK_BYTES)
    except requests.RequestException as error:
        raise CliError(
            f"the download broke off: {error}", exit_code=ExitCode.UNREACHABLE, hint="nothing was saved; try again"
        ) from None


def _status(done: int, total: int) -> Status:
    percent = 100.0 * done / total if total else None
    return Status(phase="downloading", percent=percent, bytes_done=done, bytes_total=total)


def _write(output: BinaryIO, chunk: bytes) -> None:
    try:
        output.write(chunk)
    except OSError as error:
        raise CliError(f"cannot write the file: {error.strerror}") from None


def _flush(output: BinaryIO) -> None:
    try:
        output.flush()
        os.fsync(output.fileno())
    except OSError as error:
        raise CliError(f"cannot write the file: {error.strerror}") from None


def _move_into_place(temporary: Path, file: Path, *, replace: bool) -> None:
    """Somebody may have made the file meanwhile: a hard link refuses to replace it, a rename would not."""
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    try:
        if replace:
            temporary.replace(file)
        else:
            file.hardlink_to(temporary)
    except FileExistsError:
        raise CliError(f"{file} exists already", exit_code=ExitCode.CONFLICT, hint="choose another name") from None
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror}", exit_code=ExitCode.USAGE) from None
