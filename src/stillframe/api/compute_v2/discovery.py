"""Version documents, which clients read without a token before anything else."""

from typing import Any

from litestar import Request, get

from stillframe.api.compute_v2.microversions import MAX_VERSION, MIN_VERSION

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

OPEN_REQUESTS = frozenset(("GET", path) for path in ("/", "/v2.1", "/v2.1/", "/v2", "/v2/"))

_MEDIA_TYPES = {
    "v2.0": "application/vnd.openstack.compute+json;version=2",
    "v2.1": "application/vnd.openstack.compute+json;version=2.1",
}


def base_url(request: AnyRequest) -> str:
    """As the client spelled it, for it follows the links it is given."""
    host = request.headers.get("host") or ":".join(str(part) for part in request.scope["server"] or ("localhost",))
    return f"{request.scope['scheme']}://{host}"


def _old(request: AnyRequest) -> Json:
    return {
        "id": "v2.0",
        "status": "SUPPORTED",
        "version": "",
        "min_version": "",
        "updated": "2011-01-21T11:33:21Z",
        "links": [{"rel": "self", "href": f"{base_url(request)}/v2/"}],
    }


def _current(request: AnyRequest) -> Json:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": str(MAX_VERSION),
        "min_version": str(MIN_VERSION),
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": f"{base_url(request)}/v2.1/"}],
    }


def _alone(version: Json) -> Json:
    media_types = [{"base": "application/json", "type": _MEDIA_TYPES[version["id"]]}]
    return {"version": {**version, "media-types": media_types}}


@get("/", name="compute_versions")
async def list_versions(request: AnyRequest) -> Json:
    return {"versions": [_old(request), _current(request)]}


@get("/v2.1")
async def show_current_version(request: AnyRequest) -> Json:
    return _alone(_current(request))


@get("/v2")
async def show_old_version(request: AnyRequest) -> Json:
    return _alone(_old(request))


handlers = [list_versions, show_current_version, show_old_version]
