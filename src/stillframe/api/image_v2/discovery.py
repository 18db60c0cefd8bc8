"""Version documents, which clients read without a token before anything else.

The image API has no microversions: a number only says which features are there, and every one is served below /v2.
"""

from typing import Any

from litestar import HttpMethod, Request, get, route
from litestar.exceptions import NotFoundException

VERSIONS = ("v2.17", "v2.15", "v2.13", "v2.12", "v2.11", "v2.10", *(f"v2.{minor}" for minor in range(9, -1, -1)))
"""Newest first. As a Glance with stores lists them; 2.14, 2.16 and 2.18 are of its cache, which is not there."""

READ = [HttpMethod.GET, HttpMethod.HEAD]

OPEN_REQUESTS = frozenset(
    (method, path)
    for method in ("GET", "HEAD")
    for path in ("/", "/versions", "/versions/", "/v2", "/v2/", "/v1", "/v1/", "/v1.1", "/v1.1/")
)


def base_url(request: Request[Any, Any, Any]) -> str:
    """As the client spelled it, for it follows the links it is given."""
    host = request.headers.get("host") or ":".join(str(part) for part in request.scope["server"] or ("localhost",))
    return f"{request.scope['scheme']}://{host}"


def _versions(request: Request[Any, Any, Any]) -> dict[str, Any]:
    links = [{"rel": "self", "href": f"{base_url(request)}/v2/"}]
    statuses = dict.fromkeys(VERSIONS, "SUPPORTED") | {VERSIONS[0]: "CURRENT"}
    return {"versions": [{"id": name, "status": status, "links": links} for name, status in statuses.items()]}


@route(["/", "/v2", "/v1", "/v1.1"], http_method=READ, status_code=300)
async def choose_version(request: Request[Any, Any, Any]) -> dict[str, Any]:
    return _versions(request)


@route("/versions", http_method=READ)
async def list_versions(request: Request[Any, Any, Any]) -> dict[str, Any]:
    return _versions(request)


@get("/{version:str}")
async def show_version(request: Request[Any, Any, Any], version: str) -> dict[str, Any]:
    """One version by its number, as IMS has it; with a token, like everything else."""
    found = [one for one in _versions(request)["versions"] if one["id"] == version]
    if not found:
        raise NotFoundException
    return {"versions": found}


handlers = [choose_version, list_versions, show_version]
