"""Nobody gets past this middleware without saying who they are: by X-Auth-Token, or else by a signed request.

It stands in front of routing, so an anonymous caller learns nothing about what is there. Every refusal looks the same.

Source: OpenStack Identity API v3, "Authentication and token management"; Open Telekom Cloud, "Making an API request".
"""

import re
from collections import Counter
from collections.abc import Callable

import msgspec
import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Receive, Scope, Send, WebSocketReceiveMessage
from litestar.types.asgi_types import (
    HTTPRequestEvent,
    HTTPResponseBodyEvent,
    HTTPResponseStartEvent,
    WebSocketCloseEvent,
)

from stillframe.api import outages
from stillframe.config import Settings
from stillframe.db import Database
from stillframe.db.outages import is_outage
from stillframe.errors import LimitExceededError, UnauthenticatedError
from stillframe.identity import access_rules, signatures
from stillframe.identity import service as identity
from stillframe.identity.callers import CallerMemory
from stillframe.identity.model import UNSCOPED, Caller
from stillframe.identity.model import Scope as IdentityScope
from stillframe.identity.tokens import TokenKeys
from stillframe.kit.ids import is_hex_id
from stillframe.kit.units import MIB

log = structlog.get_logger("stillframe.auth")

MAX_SIGNED_BODY_BYTES = 12 * MIB
"""A larger body has to be sent with X-Sdk-Content-Sha256: UNSIGNED-PAYLOAD."""

_PROJECT_IN_PATH = re.compile(r"/v[0-9.]+/([0-9a-f]{32})(?:/|$)")

IsOpen = Callable[[str, str], bool]


class AuthMiddleware:
    """Puts the Caller into `scope["state"]["caller"]`, or answers 401 itself.

    `is_open(method, path)` names the requests that need no credentials; those they carry are not even looked at.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        database: Database,
        token_keys: TokenKeys,
        callers: CallerMemory,
        is_open: IsOpen,
        settings: Settings,
    ) -> None:
        self._app = app
        self._callers = callers
        self._service_types = access_rules.service_types(service)
        self._database = database
        self._keys = token_keys
        self._is_open = is_open
        self._challenge = f'Keystone uri="{settings.url("identity")}/v3"'.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.WEBSOCKET:
            # One that checks its own tokens says so; none gets by unguarded.
            if self._is_open("WEBSOCKET", scope["path"]):
                await self._app(scope, receive, send)
                return
            close: WebSocketCloseEvent = {"type": "websocket.close", "code": 1008, "reason": ""}
            await send(close)
            return
        if self._is_open(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        body = BufferedBody(receive)
        try:
            caller = await self._authenticate(scope, body)
        except UnauthenticatedError as error:
            if error.cause:
                log.warning("auth.refused", cause=str(error.cause))
            await _answer(send, 401, "Unauthorized", error.default_message, (b"www-authenticate", self._challenge))
        except LimitExceededError as error:
            await _answer(send, 413, "Request Entity Too Large", error.message)
        except Exception as error:
            # Nothing below has started yet, so the exception handlers of the door are not there to answer.
            log.exception("auth.failed")
            if is_outage(error):
                await _answer(send, 503, "Service Unavailable", outages.MESSAGE)
                return
            await _answer(
                send, 500, "Internal Server Error", "An unexpected error prevented the server from answering."
            )
        else:
            scope.setdefault("state", {})["caller"] = caller
            await self._app(scope, body.receive, send)

    async def _authenticate(self, scope: HTTPScope, body: "BufferedBody") -> Caller:
        headers, repeated = _first_values(scope)
        token = headers.get(b"x-auth-token", b"").decode("latin-1").strip()
        if token:
            caller = await self._callers.of(token)
            if not access_rules.are_met(caller, self._service_types, scope["method"], scope["path"]):
                raise UnauthenticatedError
            return caller
        request = signatures.SignedRequest(
            method=scope["method"],
            raw_path=scope["raw_path"],
            raw_query=scope["query_string"],
            headers=headers,
            repeated=repeated,
        )
        wanted = _wanted_scope(request, scope["path"])
        return await identity.authenticate_signature(self._database, self._keys, request, wanted, body.read)


def _first_values(scope: HTTPScope) -> tuple[dict[bytes, bytes], frozenset[bytes]]:
    """The first value of each header, and which came more than once."""
    pairs = list(scope["headers"])
    values = dict(reversed(pairs))
    if len(values) == len(pairs):
        return values, frozenset()
    return values, frozenset(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)


def _wanted_scope(request: signatures.SignedRequest, path: str) -> IdentityScope:
    """A signature names no scope: the project comes from X-Project-Id or the path, a domain from X-Domain-Id."""
    in_path = _PROJECT_IN_PATH.match(path)
    project_id = request.header("x-project-id") or (in_path[1] if in_path else "")
    domain_id = request.header("x-domain-id")
    if not all(is_hex_id(an_id) for an_id in (project_id, domain_id) if an_id):
        raise UnauthenticatedError
    if project_id:
        return IdentityScope(project_id=project_id)
    return IdentityScope(domain_id=domain_id) if domain_id else UNSCOPED


class BufferedBody:
    """A request body that may be read early to check its signature, and is then handed on as if nobody had."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._buffered: bytes | None = None

    async def read(self) -> bytes:
        """Raises: LimitExceededError."""
        chunks, size = [], 0
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                # The client went away in the middle of its body; nobody is left to answer.
                raise UnauthenticatedError
            chunks.append(message["body"])
            size += len(chunks[-1])
            if size > MAX_SIGNED_BODY_BYTES:
                raise LimitExceededError(
                    "The body of a signed request is limited to 12 MB, unless it is left unsigned."
                )
            if not message["more_body"]:
                self._buffered = b"".join(chunks)
                return self._buffered

    async def receive(self) -> HTTPReceiveMessage | WebSocketReceiveMessage:
        if self._buffered is None:
            return await self._receive()
        event: HTTPRequestEvent = {"type": "http.request", "body": self._buffered, "more_body": False}
        self._buffered = None
        return event


async def _answer(send: Send, status: int, title: str, message: str, *headers: tuple[bytes, bytes]) -> None:
    body = msgspec.json.encode({"error": {"code": status, "message": message, "title": title}})
    length = str(len(body)).encode()
    start: HTTPResponseStartEvent = {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"content-type", b"application/json"), (b"content-length", length), *headers],
    }
    end: HTTPResponseBodyEvent = {"type": "http.response.body", "body": body, "more_body": False}
    await send(start)
    await send(end)
