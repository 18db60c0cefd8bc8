"""What a project may have, and which operating systems images can be said to hold.

Source: Open Telekom Cloud, IMS API reference, "Querying the Image Quota"; huaweicloudsdkims, list_os_versions.
"""

from collections.abc import Callable
from typing import Any

from litestar import Request, get

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.identity.model import Caller
from stillframe.images import quota
from stillframe.images.operating_systems import OperatingSystem, by_platform

AnyRequest = Request[Any, Any, Any]

_HIGHEST_QUOTA = 1000

_RUNS_ON: dict[str, Callable[[OperatingSystem], bool]] = {
    "x86": lambda _: True,
    "bms": lambda system: system.bits == 64,
    "uefi": lambda system: system.bits == 64,
    "arm": lambda system: system.bits == 64 and system.os_type == "Linux",
}


@get("/v1/cloudimages/quota")
async def show_quota(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> dict[str, Any]:
    """`image` counts the project's own images, `image_shared` those of them that others may use, `image_member` the
    projects that the most widely shared one is shared with.
    """
    used = await quota.get_usage(tx, caller.require_project(), settings)
    wanted = request.query_params.get("type")
    return {
        "quotas": {
            "resources": [
                {
                    "type": one.type,
                    "used": one.used,
                    "quota": one.quota,
                    "min": 1,
                    "max": max(_HIGHEST_QUOTA, one.quota),
                }
                for one in used
                if not wanted or one.type == wanted
            ]
        }
    }


@get("/v1/cloudimages/os_version")
async def list_os_versions(request: AnyRequest, caller: Caller, settings: Settings) -> list[dict[str, Any]]:
    """`?tag=` leaves those that run on x86, arm, uefi or bms; another text leaves all."""
    caller.require_project()
    runs = _RUNS_ON.get(request.query_params.get("tag", ""), _RUNS_ON["x86"])
    known = {
        platform: [_os_version(system) for system in systems if runs(system)]
        for platform, systems in by_platform(settings.extra_os_versions).items()
    }
    return [{"platform": str(platform), "version_list": versions} for platform, versions in known.items() if versions]


def _os_version(system: OperatingSystem) -> dict[str, Any]:
    return {
        "platform": str(system.platform),
        "os_version_key": system.version,
        "os_version": system.version,
        "os_bit": system.bits,
        "os_type": system.os_type,
    }


handlers = [show_quota, list_os_versions]
