"""An object store that is not ours, as far as reading goes: it answers ranges, and its buckets have regions.

No S3 service but `rclone serve s3`, which does neither, can be had for the tests.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@lru_cache(maxsize=64)
def etag_of(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'  # noqa: S324 - what S3 does


class OtherStore(ThreadingHTTPServer):
    """Who signs a request is not looked at."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.regions: dict[str, str] = {}
        self.objects: dict[str, bytes] = {}
        """By bucket/key."""
        self.pretended_sizes: dict[str, int] = {}
        self.ranges: list[tuple[int, int]] = []
        self.most_at_once = 0
        self.when_read = lambda: None
        self._at_once = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.when_read()
            yield
        finally:
            with self._lock:
                self._at_once -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: OtherStore

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        with self.server.reading():
            self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        name = unquote(urlsplit(self.path).path).strip("/")
        bucket, _, key = name.partition("/")
        if bucket not in self.server.regions or (key and name not in self.server.objects):
            self.reply(404)
        elif key:
            self.answer_object(name, with_body=with_body)
        else:
            self.reply(200, {"x-amz-bucket-region": self.server.regions[bucket]})

    def answer_object(self, name: str, *, with_body: bool) -> None:
        data = self.server.objects[name]
        size = self.server.pretended_sizes.get(name, len(data))
        headers = {"ETag": etag_of(data), "Last-Modified": "Tue, 24 Nov 2026 01:00:00 GMT"}
        if self.headers.get("If-Match", headers["ETag"]) != headers["ETag"]:
            self.reply(412)
            return
        wanted = self.headers.get("Range")
        if wanted is None:
            self.reply(200, headers, data if with_body else b"", size)
            return
        first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
        last = min(last, len(data) - 1)
        self.server.ranges.append((first, last))
        if first > last:
            self.reply(416)
            return
        self.reply(206, headers | {"Content-Range": f"bytes {first}-{last}/{size}"}, data[first : last + 1])

    def reply(
        self, status: int, headers: dict[str, str] | None = None, body: bytes = b"", length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def running_store() -> Iterator[OtherStore]:
    with OtherStore() as store:
        threading.Thread(target=store.serve_forever, daemon=True).start()
        try:
            yield store
        finally:
            store.shutdown()
