"""Version documents, which clients read without a token before anything else."""

from typing import Any

from litestar import Request, get

from stillframe.api.compute_v2.discovery import base_url
from stillframe.api.compute_v2.microversions import Microversion, VersionedApi

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

VOLUME = VersionedApi("volume", Microversion(3, 0), Microversion(3, 59))
OPEN_REQUESTS = frozenset(("GET", path) for path in ("/", "/v3", "/v3/", "/v2", "/v2/"))


def _version(request: AnyRequest, number: int) -> Json:
    is_current = number == 3
    return {
        "id": f"v{number}.0",
        "status": "CURRENT" if is_current else "DEPRECATED",
        "version": str(VOLUME.most) if is_current else "",
        "min_version": str(VOLUME.least) if is_current else "",
        "updated": "2018-07-17T00:00:00Z" if is_current else "2017-02-25T12:00:00Z",
        "links": [{"rel": "self", "href": f"{base_url(request)}/v{number}/"}],
        "media-types": [
            {"base": "application/json", "type": f"application/vnd.openstack.volume+json;version={number}"}
        ],
    }


@get("/", status_code=300)
async def list_versions(request: AnyRequest) -> Json:
    return {"versions": [_version(request, 2), _version(request, 3)]}


@get("/v3")
async def show_current_version(request: AnyRequest) -> Json:
    return {"versions": [_version(request, 3)]}


@get("/v2")
async def show_old_version(request: AnyRequest) -> Json:
    return {"versions": [_version(request, 2)]}


handlers = [list_versions, show_current_version, show_old_version]
