"""GET /v2/cloudimages: its filters, and the page it answers with.

Source: Open Telekom Cloud, IMS API reference, "Querying Images".
"""

from collections.abc import Callable, Iterable
from typing import Any

from stillframe.api import enterprise_projects
from stillframe.api.image_v2.filters import QueryParts, read_sort
from stillframe.api.image_v2.kinds import checked_text, parsed_bool, parsed_int
from stillframe.api.image_v2.wire import image_to_wire
from stillframe.api.ims.wire import checked_enterprise_project, checked_limit
from stillframe.config import Settings
from stillframe.errors import ImageTypeFilterInvalidError, InvalidInputError
from stillframe.flavors.model import Flavor
from stillframe.identity.model import Caller
from stillframe.images.model import Image, ImageKind, ImageStatus
from stillframe.images.operating_systems import Platform
from stillframe.images.queries import Comparison, ImageQuery

DEFAULT_LIMIT = 500
_MAX_PAGE = 1_000_000
_PAGING = frozenset({"limit", "page", "marker", "sort_key", "sort_dir"})

_FILTERS = frozenset(
    {
        *("id", "name", "owner", "container_format", "disk_format", "min_ram", "min_disk", "tag"),
        *("__os_bit", "__os_type", "__os_version", "__isregistered", "__system__cmkid"),
        *("visibility", "protected", "architecture", "member_status", "created_at", "updated_at"),
        *("__support_kvm", "__support_xen", "__support_largememory", "__support_diskintensive"),
        *("__support_highperformance", "__support_xen_gpu_type", "__support_kvm_gpu_type", "__support_xen_hana"),
        "__support_kvm_infiniband",
    }
)
"""Anything else in the query string is ignored, as the service it is modelled on does."""

_IMAGE_TYPES = frozenset({"gold", "private", "shared", "market"})
_WIRE_STATUS = {"importing": "saving", "uploading": "saving"}


def image_query(parameters: Iterable[tuple[str, str]], caller: Caller, flavor: Flavor | None) -> ImageQuery:
    """Raises: InvalidInputError; ImageTypeFilterInvalidError for an unknown `__imagetype`,
    EnterpriseProjectInvalidError.
    """
    given = [(name, text) for name, text in parameters if text]  # what is empty was not given
    parts = QueryParts(caller)
    for name, text in given:
        if name in _OWN_FILTERS:
            _OWN_FILTERS[name](parts, text)
        elif name in _FILTERS:
            parts.add(name, text)
    if flavor is not None:
        parts.require_field("min_ram_mib", Comparison.LTE, flavor.ram_mib)
    single = dict(given)
    marker = single.get("marker")
    return parts.build(
        limit=checked_limit(single.get("limit"), default=DEFAULT_LIMIT, highest=DEFAULT_LIMIT),
        marker=None if marker is None else checked_text("marker", marker),
        sorts=(read_sort(single.get("sort_key", "created_at"), single.get("sort_dir", "desc")),),
    )


def _by_image_type(parts: QueryParts, text: str) -> None:
    if text not in _IMAGE_TYPES:
        raise ImageTypeFilterInvalidError
    parts.add("__imagetype", text)


def _by_environment(parts: QueryParts, text: str) -> None:
    if text not in set(ImageKind):
        raise InvalidInputError(f"virtual_env_type must be one of {', '.join(ImageKind)}.", field="virtual_env_type")
    parts.add("virtual_env_type", text)


def _by_status(parts: QueryParts, text: str) -> None:
    """What is shown as one status may be several."""
    shown_so = [status for status, shown in _WIRE_STATUS.items() if shown == text]
    parts.add("status", "in:" + ",".join([text, *shown_so]) if shown_so else text)


def _by_whole_image(parts: QueryParts, text: str) -> None:
    if parsed_bool("__whole_image", text):
        parts.add("__whole_image", "true")
    else:
        parts.lacking["__whole_image"] = "true"


def _by_enterprise_project(parts: QueryParts, text: str) -> None:
    if text != enterprise_projects.ALL:
        parts.add("enterprise_project_id", checked_enterprise_project(text))


def _by_platform(parts: QueryParts, text: str) -> None:
    """The list's reference writes as one word what images have as two."""
    parts.add("__platform", Platform.RED_HAT if text == "RedHat" else text)


def _by_virtual_size(name: str, comparison: Comparison) -> Callable[[QueryParts, str], None]:
    return lambda parts, text: parts.require_field("virtual_size_bytes", comparison, parsed_int(name, text))


_OWN_FILTERS: dict[str, Callable[[QueryParts, str], None]] = {
    "__imagetype": _by_image_type,
    "virtual_env_type": _by_environment,
    "status": _by_status,
    "__whole_image": _by_whole_image,
    "enterprise_project_id": _by_enterprise_project,
    "__platform": _by_platform,
    "size_min": _by_virtual_size("size_min", Comparison.GTE),
    "size_max": _by_virtual_size("size_max", Comparison.LTE),
}
"""Filters that mean something else than in Glance, or are stricter."""


def tags_query(parameters: Iterable[tuple[str, str]], caller: Caller) -> tuple[ImageQuery, int, int]:
    """What GET /v1/cloudimages/tags asks for: which images, how many of their tags, and how many come before.

    Raises: as `image_query`.
    """
    given = list(parameters)
    filters = [(name, text) for name, text in given if name not in _PAGING]
    single = dict(given)
    limit = checked_limit(single.get("limit"), default=DEFAULT_LIMIT, highest=DEFAULT_LIMIT)
    page = parsed_int("page", single.get("page") or "1")
    if not 1 <= page <= _MAX_PAGE:
        raise InvalidInputError("page must be 1 or more.", field="page")
    return image_query(filters, caller, None), limit, (page - 1) * limit


def status_to_wire(status: ImageStatus) -> str:
    return _WIRE_STATUS.get(status, str(status))


def images_page(found: list[Image], query: ImageQuery, caller: Caller, settings: Settings) -> dict[str, Any]:
    """`page_info` instead of a `next` link: some clients would follow the link to the wrong door."""
    full = len(found) == query.limit
    return {
        "images": [image_to_ims(image, caller, settings) for image in found],
        "page_info": {"next_marker": found[-1].id if full else None, "current_count": len(found)},
    }


def image_to_ims(image: Image, caller: Caller, settings: Settings) -> dict[str, Any]:
    wire = image_to_wire(image, caller, settings)
    return wire | {"status": status_to_wire(image.status)}
