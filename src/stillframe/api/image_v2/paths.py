"""Paths as Glance takes them, before any route is looked for.

Every version it lists is another name of /v2 (but IMS has a /v2.1/cloudimages of its own); a path without a version has
the one that the header Accept names. A path that ends with a slash leads nowhere: a client that asks for the image of
no id must not be given the list of all.

Source: openstack/glance, `glance/api/middleware/version_negotiation.py`.
"""

import re
from http import HTTPStatus

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send
from litestar.types.asgi_types import HTTPResponseBodyEvent, HTTPResponseStartEvent

from stillframe.api.image_v2.discovery import VERSIONS

_VERSION = re.compile(rb"/(v2\.\d{1,2})(/(?!cloudimages(?:/|$)).+)", re.DOTALL)
_ACCEPTED_VERSION = re.compile(rb"application/vnd\.openstack\.images-(v2\.\d{1,2})", re.IGNORECASE)
_NO_VERSION = re.compile(rb"/(?:images|metadefs|schemas|tasks|info|stores|cache)(?:/.*)?", re.DOTALL)
_OURS = re.compile(rb"/v2/(?:images|metadefs|schemas|tasks|info|stores|cache)/(?:.*/)?", re.DOTALL)
_NOT_FOUND = msgspec.json.encode(
    {"message": "The resource could not be found.", "code": "404 Not Found", "title": "Not Found"}
)


class GlancePaths:
    """Goes around the application, inside of what checks signatures: those are made of the path as it was sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        raw = bytes(scope["raw_path"]).partition(b"?")[0]
        if _NO_VERSION.fullmatch(raw) and (accepted := _ACCEPTED_VERSION.fullmatch(_accept(scope))):
            raw = b"/" + accepted[1].lower() + raw
            scope["path"] = f"/{accepted[1].decode().lower()}{scope['path']}"
        aliased = _VERSION.fullmatch(raw)
        if aliased and aliased[1].decode() in VERSIONS:
            raw = b"/v2" + aliased[2]
            scope["path"] = "/v2" + scope["path"][len(aliased[1]) + 1 :]
            scope["raw_path"] = raw
        if _OURS.fullmatch(raw):
            await _answer_not_found(send)
        else:
            await self._app(scope, receive, send)


def _accept(scope: HTTPScope) -> bytes:
    return next((value.strip() for name, value in scope["headers"] if name == b"accept"), b"")


async def _answer_not_found(send: Send) -> None:
    start: HTTPResponseStartEvent = {
        "type": "http.response.start",
        "status": HTTPStatus.NOT_FOUND,
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(_NOT_FOUND)).encode())],
    }
    await send(start)
    body: HTTPResponseBodyEvent = {"type": "http.response.body", "body": _NOT_FOUND, "more_body": False}
    await send(body)
