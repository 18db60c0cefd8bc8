"""A cloud as the command line sees one: real HTTP with answers in the form of the API pages, counted.

The services are another system to the CLI. What needs machines, jobs or disks is tested against the real one.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

PROJECT_ID = "0b1e494e2660441a957313163095fe5c"
PASSWORD = "correct horse"
LONG_AGO = "2020-01-01T00:00:00.000000Z"
FAR_AHEAD = "2999-01-01T00:00:00.000000Z"


@dataclass
class Answer:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    announced_length: int | None = None
    """Content-Length when it shall differ from what is sent."""

    @property
    def payload(self) -> bytes:
        if self.raw is not None:
            return self.raw
        return b"" if self.body is None else json.dumps(self.body).encode()


Reply = Answer | Callable[[BaseHTTPRequestHandler], None]
"""A function answers by itself, and the connection ends with it."""


class StandIn:
    def __init__(self) -> None:
        self.replies: dict[tuple[str, str], list[Reply]] = {}
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.valid_tokens: set[str] = set()
        self.token_requests = 0
        self.expires_at = FAR_AHEAD
        self.token_redirect = ""
        """Where requests for a token are sent to instead."""
        self.url = ""
        self._lock = threading.Lock()

    def on(self, method: str, path: str, *replies: Reply) -> None:
        """Given one after the other; the last one for ever."""
        self.replies[method, path] = list(replies)

    def sent(self, method: str, path: str) -> list[Any]:
        """Bodies of the requests that came for this path."""
        return [body for m, p, _, body in self.requests if (m, p) == (method, path)]

    def write_clouds_yaml(self, directory: Path, **changes: Any) -> Path:
        auth = {
            "auth_url": f"{self.url}/v3",
            "username": "demo",
            "password": PASSWORD,
            "project_name": "eu-de",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }
        entry = {"auth": auth | changes, "region_name": "eu-de", "interface": "public"}
        path = directory / "clouds.yaml"
        path.write_text(yaml.safe_dump({"clouds": {"standin": entry}}))
        return path

    def answer(self, handler: BaseHTTPRequestHandler, body: Any) -> Answer | None:
        path = urlsplit(handler.path).path
        with self._lock:
            self.requests.append((handler.command, path, dict(handler.headers), body))
            if (handler.command, path) == ("POST", "/v3/auth/tokens"):
                return self._issue(body)
            if handler.headers.get("X-Auth-Token") not in self.valid_tokens:
                return unauthorized()
            if (handler.command, path) == ("DELETE", "/v3/auth/tokens"):
                self.valid_tokens.discard(handler.headers["X-Subject-Token"])
                return Answer(204)
            replies = self.replies.get((handler.command, path))
            if not replies:
                return Answer(404, {"itemNotFound": {"code": 404, "message": f"nothing at {path}"}})
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(reply, Answer):
            return reply
        reply(handler)
        return None

    def _issue(self, body: Any) -> Answer:
        if self.token_redirect:
            return Answer(307, headers={"Location": self.token_redirect})
        self.token_requests += 1
        user = body["auth"]["identity"]["password"]["user"]
        if user["password"] != PASSWORD:
            return unauthorized()
        token = f"token-{self.token_requests}"
        self.valid_tokens.add(token)
        return Answer(201, {"token": self._token_body()}, {"X-Subject-Token": token})

    def _token_body(self) -> dict[str, Any]:
        urls = {"image": self.url, "compute": f"{self.url}/v2.1/{PROJECT_ID}", "network": self.url}
        return {
            "methods": ["password"],
            "issued_at": "2026-01-01T10:00:00.000000Z",
            "expires_at": self.expires_at,
            "user": {"id": "f" * 32, "name": "demo", "domain": {"id": "d" * 32, "name": "Default"}},
            "project": {"id": PROJECT_ID, "name": "eu-de", "domain": {"id": "d" * 32, "name": "Default"}},
            "roles": [{"id": "0", "name": "te_admin"}],
            "catalog": [
                {"id": name, "name": name, "type": name, "endpoints": [_endpoint(url)]} for name, url in urls.items()
            ],
        }


def _endpoint(url: str) -> dict[str, str]:
    return {"id": "1" * 32, "interface": "public", "region": "eu-de", "region_id": "eu-de", "url": url}


def unauthorized() -> Answer:
    message = "The request you have made requires authentication."
    return Answer(401, {"error": {"code": 401, "message": message, "title": "Unauthorized"}})


def ims_error(code: str, message: str, status: int = 400) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message}})


def job(status: str, **changes: Any) -> Answer:
    body = {
        "status": status,
        "entities": {},
        "job_id": "8a12fc664fb4daa3014fb4e581380005",
        "job_type": "imsCreateImageByInstance",
        "begin_time": "2026-01-01T10:00:00.000Z",
        "end_time": None,
        "error_code": None,
        "fail_reason": None,
    }
    return Answer(200, body | changes)


@contextmanager
def running_stand_in() -> Iterator[StandIn]:
    cloud = StandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(cloud))
    cloud.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield cloud
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler_for(cloud: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet; else each answer waits 40 ms for the first one's receipt

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(length)
            reply = cloud.answer(self, json.loads(text) if text else None)
            if reply is None:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            payload = reply.payload
            if reply.status != 204:
                self.send_header("Content-Length", str(reply.announced_length or len(payload)))
            self.end_headers()
            self.wfile.write(payload)
            self.close_connection = reply.announced_length is not None

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the library looks for these names

        def log_message(self, *args: object) -> None:
            pass

    return Handler
