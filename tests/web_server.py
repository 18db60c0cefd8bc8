"""A web server for downloads: files by their path, and the ways in which servers misbehave."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class WebServer:
    def __init__(self, port: int = 0) -> None:
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        """(path, Host header) of every request."""
        self.go_on = threading.Event()
        """Lets /stuck end."""
        self._http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._http.daemon_threads = True
        self.port: int = self._http.server_address[1]

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                web.asked.append((self.path, self.headers["Host"]))
                web.answer(self)

            def log_message(self, *arguments: object) -> None:
                """Tests print nothing."""

        return Handler

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path
        if path in self.redirects:
            self._head(request, 302, {"Location": self.redirects[path], "Content-Length": "0"})
        elif path == "/gzip":
            self._head(request, 200, {"Content-Encoding": "gzip", "Content-Length": "4"}, b"\x1f\x8b\x08\0")
        elif path == "/short":
            self._head(request, 200, {"Content-Length": "1000", "Connection": "close"}, b"x" * 10)
            request.close_connection = True
        elif path == "/endless":
            self._head(request, 200, {"Transfer-Encoding": "chunked"})
            chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
            try:
                while True:
                    request.wfile.write(chunk)
            except OSError:
                request.close_connection = True
        elif path == "/stuck":
            content = self.files[path]
            self._head(request, 200, {"Content-Length": str(len(content))}, content[:100_000])
            self.go_on.wait(60)
            request.wfile.write(content[100_000:])
        elif path in self.files:
            content = self.files[path]
            self._head(request, 200, {"Content-Length": str(len(content))}, content)
        else:
            self._head(request, 404, {"Content-Length": "0"})

    @staticmethod
    def _head(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)
        request.wfile.flush()

    @contextmanager
    def serving(self) -> Iterator["WebServer"]:
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.go_on.set()
            self._http.shutdown()
            self._http.server_close()
            thread.join()
