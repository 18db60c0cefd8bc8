"""Images, through the image service's own calls; bytes and deletion through its Glance side."""

from __future__ import annotations  # Api, for types only: loading it loads an HTTP library

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from stillframe.cli.errors import CliError, ExitCode
from stillframe.cli.lookup import looks_like_id, pick_one, quoted

if TYPE_CHECKING:
    from stillframe.cli.api import Api

PAGE = 500


def list_images(api: Api, **filters: str | None) -> Iterator[dict[str, Any]]:
    """Page after page; filters are those of the service, unset ones are left out."""
    params: dict[str, str | int] = {name: value for name, value in filters.items() if value} | {"limit": PAGE}
    while True:
        page = api.get("image", "/v2/cloudimages", params=params).get("images") or []
        yield from page
        if len(page) < PAGE:
            return
        params["marker"] = page[-1]["id"]


def find_image(api: Api, wanted: str) -> dict[str, Any]:
    """Raises: CliError when no image, or more than one, has this name or id."""
    if looks_like_id(wanted) and (found := list(list_images(api, id=wanted))):
        return found[0]
    return pick_one("image", wanted, list(list_images(api, name=wanted)))


def get_image(api: Api, image_id: str) -> dict[str, Any] | None:
    return next(list_images(api, id=image_id), None)


def create_from_server(
    api: Api, server_id: str, name: str, description: str, tags: Mapping[str, str], about: Mapping[str, str]
) -> str:
    """The id of the job that makes the image."""
    body: dict[str, Any] = {"name": name, "instance_id": server_id}
    if description:
        body["description"] = description
    if tags:
        body["image_tags"] = [{"key": key, "value": value} for key, value in tags.items()]
    return str(api.post("image", "/v2/cloudimages/action", body, about=about)["job_id"])


def import_from_bucket(
    api: Api, body: Mapping[str, Any], about: Mapping[str, str], *, is_data: bool, is_quick: bool
) -> str:
    """The id of the job that makes the image of the object `image_url`, which is bucket:key."""
    path = "/v1/cloudimages/dataimages/action" if is_data else "/v2/cloudimages/action"
    if is_data and is_quick:
        path = "/v2/cloudimages/quickimport/action"
    return str(api.post("image", path, dict(body), about=about)["job_id"])


def export_to_bucket(api: Api, image_id: str, target: str, file_format: str, about: Mapping[str, str]) -> str:
    """The id of the job that writes the object; `target` is bucket:key. No format delivers the file as it is stored."""
    body: dict[str, Any] = {"bucket_url": target}
    body |= {"file_format": file_format} if file_format else {"is_quick_export": True}
    return str(api.post("image", f"/v1/cloudimages/{quoted(image_id)}/file", body, about=about)["job_id"])


def delete_image(api: Api, image_id: str) -> None:
    api.delete("image", f"/v2/images/{quoted(image_id)}", about={"image": image_id})


def wire_tags(given: list[str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in parse_tags(given).items()]


def parse_tags(given: list[str]) -> dict[str, str]:
    """`key=value`, or `key` alone for an empty value."""
    tags: dict[str, str] = {}
    for text in given:
        key, _, value = text.partition("=")
        if not key or key in tags:
            what = "has no key" if not key else f"gives {key!r} a second time"
            raise CliError(f"--tag {text!r} {what}", exit_code=ExitCode.USAGE, hint="write --tag key=value")
        tags[key] = value
    return tags
