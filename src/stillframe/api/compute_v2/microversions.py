"""Microversions: which form of the API a request asks for, and the headers that tell which one answered.

Only differences that a caller can see in what we serve are made; all others are served alike at every version.

Source: OpenStack Compute API guide, "Microversions"; API-SIG, "Microversion Specification".
"""

import re
from typing import Any, NamedTuple

from litestar import Request
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from stillframe.api.compute_v2.errors import MicroversionUnsupportedError
from stillframe.errors import InvalidInputError

_VERSION = re.compile(r"(\d{1,4})\.(\d{1,6})", re.ASCII)
_STATE_KEY = "microversion"


class Microversion(NamedTuple):
    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


MIN_VERSION = Microversion(2, 1)
MAX_VERSION = Microversion(2, 90)

KEYPAIR_TYPES = Microversion(2, 2)
LOCKED = Microversion(2, 9)
DESCRIPTIONS = Microversion(2, 19)
TAGS = Microversion(2, 26)
NETWORKS_REQUIRED = Microversion(2, 37)
IMAGE_ID_IN_BODY = Microversion(2, 45)
EMBEDDED_FLAVORS = Microversion(2, 47)
FLAVOR_DESCRIPTIONS = Microversion(2, 55)
PAGED_ACTIONS = Microversion(2, 58)
FLAVOR_EXTRA_SPECS = Microversion(2, 61)
TRUSTED_CERTIFICATES = Microversion(2, 63)
ATTACHMENT_TAGS = Microversion(2, 70)
SERVER_GROUPS = Microversion(2, 71)
LOCKED_REASON = Microversion(2, 73)
INTEGER_SWAP = Microversion(2, 75)
ATTACHMENT_TERMINATION = Microversion(2, 79)
ATTACHMENTS_WITHOUT_ID = Microversion(2, 89)
HOST_NAMES = Microversion(2, 90)


class VersionedApi(NamedTuple):
    """A service with microversions: its name in the header, and what it answers to."""

    service: str
    least: Microversion
    most: Microversion
    legacy_header: bytes = b""
    """An older header that holds the bare version."""


COMPUTE = VersionedApi("compute", MIN_VERSION, MAX_VERSION, b"x-openstack-nova-api-version")


class MicroversionMiddleware:
    """Refuses versions there are not, and puts the one that answers into every answer."""

    def __init__(self, app: ASGIApp, api: VersionedApi = COMPUTE) -> None:
        self._app = app
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        version = requested_version(self._api, dict(scope["headers"]))
        scope["state"][_STATE_KEY] = version
        headers = _answer_headers(self._api, version)

        async def send_with_version(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        await self._app(scope, receive, send_with_version)


def _answer_headers(api: VersionedApi, version: Microversion) -> list[tuple[bytes, bytes]]:
    told = str(version).encode()
    headers = [(b"openstack-api-version", f"{api.service} {version}".encode()), (b"vary", b"OpenStack-API-Version")]
    if api.legacy_header:
        headers += [(api.legacy_header, told), (b"vary", api.legacy_header)]
    return headers


def requested_version(api: VersionedApi, headers: dict[bytes, bytes]) -> Microversion:
    """Either header may ask; the newer kind counts when both do.

    Raises: InvalidInputError for what is no version, MicroversionUnsupportedError for one there is not.
    """
    named = headers.get(b"openstack-api-version", b"").decode("latin-1").strip().split()
    if len(named) == 2 and named[0].lower() == api.service:
        text = named[1]
    else:
        text = headers.get(api.legacy_header, b"").decode("latin-1").strip()
    if not text:
        return api.least
    if text == "latest":
        return api.most
    found = _VERSION.fullmatch(text)
    if not found:
        raise InvalidInputError(
            f"API Version String {text[:64]} is of invalid format. Must be of format MajorNum.MinorNum."
        )
    version = Microversion(int(found[1]), int(found[2]))
    if not api.least <= version <= api.most:
        raise MicroversionUnsupportedError(
            f"Version {version} is not supported by the API. Minimum is {api.least} and maximum is {api.most}."
        )
    return version


def provide_version(request: Request[Any, Any, Any]) -> Microversion:
    version: Microversion = request.scope["state"][_STATE_KEY]
    return version
