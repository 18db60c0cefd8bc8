"""Bytes between the disk and S3, as one account."""

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from stillframe.blobs.bucket_requests import Answer, send
from stillframe.blobs.digests import HashLane, Progress
from stillframe.blobs.object_stream import RANGE_BYTES, ranges_in_order
from stillframe.blobs.upload_parts import UploadParts
from stillframe.errors import (
    BucketNameInvalidError,
    BucketRefusedError,
    BucketRegionError,
    BucketUnreachableError,
    InvalidInputError,
    ObjectNotFoundError,
)

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult
    from obstore.store import ClientConfig

UPLOADS_AT_ONCE = 4
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_MD5 = re.compile(r"[0-9a-f]{32}", re.ASCII)
_CHUNK_BYTES = 4 * 1024 * 1024
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PEEK_TIMEOUT_S = 30.0
_PRESIGNED_FOR = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ObjectStoreSettings:
    """An S3 endpoint (path style) and the key that signs for it."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)
    answers_ranges: bool = True
    """`rclone serve s3` (1.75) answers 200 where 206 is due, which is found out at the cost of a request each time."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """`etag` is without quotes: the MD5 of an object put in one piece, the MD5 of MD5s and `-parts` of others."""

    size_bytes: int
    etag: str | None
    last_modified: datetime

    @property
    def md5(self) -> str | None:
        return self.etag if _is_md5(self.etag) else None


class ObjectStore:
    """What the account may do with buckets and objects. Cheap to make; connections are kept per instance and bucket.

    Every method raises BucketUnreachableError when the store is down, BucketRefusedError when the bucket is not there
    or the account may not do this, and InvalidInputError for a key which S3 clients would not agree about.
    """

    def __init__(self, settings: ObjectStoreSettings) -> None:
        self._settings = settings
        self._stores: dict[str, S3Store] = {}

    async def bucket_exists(self, bucket: str) -> bool:
        """False also for a bucket which is there but not the account's: the two are never told apart."""
        return (await self._head_bucket(bucket)).status == 200

    async def require_bucket(self, bucket: str) -> None:
        """Raises: BucketRefusedError as `bucket_exists` answers False; BucketRegionError for one elsewhere."""
        answer = await self._head_bucket(bucket)
        if answer.status in (200, 301) and answer.region not in (None, self._settings.region):
            raise BucketRegionError
        if answer.status != 200:
            raise BucketRefusedError

    async def _head_bucket(self, bucket: str) -> Answer:
        answer = await self._send("HEAD", bucket)
        if answer.status in (200, 301, 403, 404):
            return answer
        raise BucketUnreachableError(cause=f"HEAD {bucket}: {answer.status}")

    async def create_bucket(self, bucket: str) -> None:
        """Safe to repeat: a bucket the account already has is left as it is."""
        region = f"<LocationConstraint>{self._settings.region}</LocationConstraint>"
        body = f"<CreateBucketConfiguration>{region}</CreateBucketConfiguration>".encode()
        status = (await self._send("PUT", bucket, body)).status
        if status == 200 or (status == 409 and await self.bucket_exists(bucket)):
            return
        if status in (403, 409):
            raise BucketRefusedError(cause=f"PUT {bucket}: {status}")
        raise BucketUnreachableError(cause=f"PUT {bucket}: {status}")

    async def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """None when there is no such object, or no such bucket."""
        try:
            with _translated(bucket, key):
                return _info(await obstore.head_async(self._store(bucket), _checked(key)))
        except ObjectNotFoundError:
            return None

    async def object_exists(self, bucket: str, key: str) -> bool:
        return await self.head(bucket, key) is not None

    async def delete_object(self, bucket: str, key: str) -> None:
        """Safe to repeat: no error when the object is not there."""
        with contextlib.suppress(ObjectNotFoundError), _translated(bucket, key):
            await obstore.delete_async(self._store(bucket), _checked(key))

    async def peek(self, bucket: str, key: str, length: int) -> tuple[ObjectInfo, bytes]:
        """What there is to know about the object, and its first bytes: all of it if it is shorter.

        Raises: ObjectNotFoundError.
        """
        # A plain GET which is hung up on, no Range: `rclone serve s3` (1.75) answers ranges with 200 where 206 is
        # due, and object_store then refuses the answer.
        prefix = b""
        try:
            with _translated(bucket, key):
                async with asyncio.timeout(_PEEK_TIMEOUT_S):
                    result = await obstore.get_async(self._store(bucket), _checked(key))
                    async for chunk in result.stream(min_chunk_size=min(length, 1024 * 1024)):
                        prefix += bytes(chunk)
                        if len(prefix) >= length:
                            break
        except TimeoutError as error:
            raise BucketUnreachableError("The object store does not answer.", cause=error) from None
        return _info(result.meta), prefix[:length]

    async def upload_file(
        self,
        path: Path,
        bucket: str,
        key: str,
        on_progress: Progress | None = None,
        *,
        part_size: int | None = None,
    ) -> ObjectInfo:
        """Several parts at a time. The object is not there before it is whole, and what is kept was compared with what
        was sent before progress says that all of it is done. When this fails or is cancelled, nothing of it remains.

        `part_size` is in bytes, at least 5 MiB; by default what keeps the upload below S3's 10,000 parts.
        """
        with UploadParts.of_file(path, part_size, UPLOADS_AT_ONCE, on_progress) as parts:
            await self._upload_parts(parts, bucket, key)
            info = await self.head(bucket, key)
            if info is None or not await self._kept(parts, bucket, key):
                await self.delete_object(bucket, key)
                raise BucketUnreachableError("The object store did not keep what it was sent.", cause=info)
        if on_progress:
            on_progress(info.size_bytes, info.size_bytes)
        return info

    async def _upload_parts(self, parts: UploadParts, bucket: str, key: str) -> None:
        with _translated(bucket, key, missing=BucketRefusedError):
            upload = obstore.put_async(
                self._store(bucket),
                _checked(key),
                parts.read(),
                use_multipart=True,
                chunk_size=parts.part_size,
                max_concurrency=parts.at_once,
            )
            task = asyncio.ensure_future(upload)
            try:
                parts.etag = _unquoted((await asyncio.shield(task))["e_tag"])
            except asyncio.CancelledError:
                # Cancelling obstore's own future would leave the parts in the bucket; it takes them back when the
                # source of the parts fails.
                parts.stop()
                with contextlib.suppress(BaseError, OSError, UploadParts.StoppedError):
                    await task
                    await self.delete_object(bucket, key)
                raise

    async def _kept(self, parts: UploadParts, bucket: str, key: str) -> bool:
        if parts.etag == parts.expected_etag:
            return True
        # The ETag of an object which the store encrypts is not made of MD5s; only its bytes can tell.
        with _translated(bucket, key):
            result = await obstore.get_async(self._store(bucket), key)
            return await parts.equal(result.stream(min_chunk_size=parts.part_size))

    async def open_object(self, bucket: str, key: str) -> tuple[ObjectInfo, AsyncGenerator[bytes, None]]:
        """The object's bytes in order, all of one state of it; in parallel where the store answers ranges.

        Reading raises BucketUnreachableError when the object changes meanwhile, arrives damaged or ends early.

        Raises: ObjectNotFoundError.
        """
        beginning = await self._first_range(bucket, key) if self._settings.answers_ranges else None
        if beginning is None:
            with _translated(bucket, key):
                result = await obstore.get_async(self._store(bucket), _checked(key))
            info, chunks = _info(result.meta), _stream(result, bucket, key)
        else:
            info, first = beginning
            fetch = functools.partial(self._fetch_range, bucket, key, info)
            chunks = ranges_in_order(first, fetch, info.size_bytes)
        return info, _checked_chunks(chunks, info)

    async def _first_range(self, bucket: str, key: str) -> tuple[ObjectInfo, bytes] | None:
        """None when this store answers a range with the whole, or the object is empty and has no range."""
        try:
            options: GetOptions = {"range": (0, RANGE_BYTES)}
            result = await obstore.get_async(self._store(bucket), _checked(key), options=options)
            return _info(result.meta), bytes(await result.bytes_async())
        except (BaseError, FileNotFoundError):
            return None

    async def _fetch_range(self, bucket: str, key: str, info: ObjectInfo, start: int, end: int) -> bytes:
        with _translated(bucket, key):
            options: GetOptions = {"range": (start, end), "if_match": f'"{info.etag}"' if info.etag else None}
            result = await obstore.get_async(self._store(bucket), key, options=options)
            return bytes(await result.bytes_async())

    async def _send(self, method: str, bucket: str, body: bytes | None = None) -> Answer:
        with _translated(bucket, ""):
            url = await obstore.sign_async(self._store(bucket), method, "", _PRESIGNED_FOR)  # type: ignore[call-overload]
        return await send(method, url, body, through_proxy=not self._is_loopback())

    def _store(self, bucket: str) -> S3Store:
        if not _BUCKET.fullmatch(bucket):
            raise BucketNameInvalidError
        if bucket not in self._stores:
            self._stores[bucket] = self._open(bucket)
        return self._stores[bucket]

    def _open(self, bucket: str) -> S3Store:
        settings = self._settings
        token: dict[str, Any] = {"session_token": settings.security_token} if settings.security_token else {}
        return S3Store(
            bucket,
            endpoint=settings.endpoint,
            region=settings.region,
            access_key_id=settings.access_key,
            secret_access_key=settings.secret_key,
            virtual_hosted_style_request=False,
            # What arrives is compared anyway, by the ETag; a SHA-256 over every part costs 2 s of CPU per GiB.
            unsigned_payload=True,
            client_options=self._client_options(),
            retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=60)},
            **token,
        )

    def _client_options(self) -> "ClientConfig":
        # The default ends every request after 30 s, which cuts long downloads short.
        options: ClientConfig = {
            "allow_http": self._settings.endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=5),
            "read_timeout": timedelta(minutes=5),
            "timeout": timedelta(days=1),
        }
        if self._is_loopback():
            # HTTP_PROXY of the environment must not lead to our own endpoint through a proxy; an exclusion is only
            # read where a proxy is named, and any will do, since nothing but this host is asked.
            options["proxy_url"] = self._settings.endpoint
            options["proxy_excludes"] = ",".join(_LOOPBACK)
        return options

    def _is_loopback(self) -> bool:
        return urlsplit(self._settings.endpoint).hostname in _LOOPBACK


async def _stream(result: "GetResult", bucket: str, key: str) -> AsyncGenerator[bytes, None]:
    with _translated(bucket, key):
        async for chunk in result.stream(min_chunk_size=_CHUNK_BYTES):
            yield bytes(chunk)


async def _checked_chunks(chunks: AsyncGenerator[bytes, None], info: ObjectInfo) -> AsyncGenerator[bytes, None]:
    received_bytes = 0
    async with contextlib.aclosing(chunks), contextlib.AsyncExitStack() as stack:
        lane = HashLane("md5") if info.md5 else None
        if lane:
            stack.callback(lane.close)
        async for chunk in chunks:
            received_bytes += len(chunk)
            if lane:
                await lane.feed(chunk)
            yield chunk
        if received_bytes != info.size_bytes:
            raise BucketUnreachableError("The object ended before its last byte.")
        if lane and await lane.hexdigest() != info.md5:
            raise BucketUnreachableError("The object arrived damaged.")


def _checked(key: str) -> str:
    # object_store would drop these slashes silently, and write to a key nobody named.
    if not key or key.startswith("/") or key.endswith("/"):
        raise InvalidInputError(f"The object key {key!r} is empty, or starts or ends with a slash.", field="key")
    return key


def _info(meta: Any) -> ObjectInfo:
    return ObjectInfo(size_bytes=meta["size"], etag=_unquoted(meta["e_tag"]), last_modified=meta["last_modified"])


def _unquoted(etag: str | None) -> str | None:
    return etag.strip('"') or None if etag else None


def _is_md5(etag: str | None) -> TypeGuard[str]:
    return etag is not None and _MD5.fullmatch(etag) is not None


@contextlib.contextmanager
def _translated(bucket: str, key: str, missing: type[Exception] = ObjectNotFoundError) -> Iterator[None]:
    """Errors of obstore as ours. `missing` is what a 404 means: for a write, that there is no such bucket."""
    try:
        yield
    except FileNotFoundError as error:
        raise missing(cause=error) from None  # type: ignore[call-arg]
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise BucketRefusedError(cause=f"{bucket}/{key}: {error}") from None
    except BaseError as error:
        raise BucketUnreachableError(cause=f"{bucket}/{key}: {error}") from None
    except ValueError as error:
        raise InvalidInputError(f"The object key {key!r} cannot be used.", field="key", cause=error) from None
