"""Images, their tags and members: decode, one service call, encode. Their data is in data.py."""

from typing import Any
from urllib.parse import parse_qsl, unquote

from litestar import Request, Response, delete, get, patch, post, put
from litestar.exceptions import HTTPException

from stillframe.api.image_v2 import patches, wire
from stillframe.api.image_v2.discovery import base_url
from stillframe.api.image_v2.kinds import checked_text
from stillframe.api.image_v2.pages import glance_query, page_links
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.images import service as images
from stillframe.images import sharing
from stillframe.images.stores import STORE_ID

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]


def query_pairs(request: AnyRequest) -> list[tuple[str, str]]:
    """In their order, with repetitions and empty values. Raises: InvalidInputError for what is not UTF-8."""
    try:
        return parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise InvalidInputError("The query string is not UTF-8.") from None


def media_type(request: AnyRequest) -> str:
    return str(request.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _tag(request: AnyRequest) -> str:
    """From the path as it was sent: a decoded one cannot tell a slash in a tag from a slash behind it."""
    raw = bytes(request.scope["raw_path"]).partition(b"?")[0].decode("latin-1")
    try:
        return checked_text("tag", unquote(raw.partition("/tags/")[2], errors="strict"))
    except UnicodeDecodeError:
        raise InvalidInputError("The tag is not UTF-8.", field="tag") from None


@post("/v2/images")
async def create_image(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Response[Json]:
    if media_type(request) not in {"", "application/json"}:
        raise HTTPException(status_code=415, detail="The body must be application/json.")
    body = wire.decode_object(await request.body())
    wanted = wire.described_image(images.new_image(caller), body, settings)
    image = await images.create_image(tx, caller, settings, wanted)
    headers = {"Location": f"{base_url(request)}/v2/images/{image.id}", "OpenStack-image-store-ids": STORE_ID}
    if settings.import_methods:
        headers["OpenStack-image-import-methods"] = ",".join(settings.import_methods)
    return Response(wire.image_to_wire(image, caller, settings), status_code=201, headers=headers)


@get("/v2/images")
async def list_images(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    pairs = query_pairs(request)
    query = glance_query(pairs, caller)
    page = await images.list_images(tx, caller, query)
    last_id = page[-1].id if page and len(page) == query.limit else None
    return {
        "images": [wire.image_to_wire(image, caller, settings) for image in page],
        **page_links("/v2/images", pairs, last_id),
        "schema": "/v2/schemas/images",
    }


@get("/v2/images/{image_id:str}")
async def show_image(image_id: str, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    return wire.image_to_wire(await images.get_visible_image(tx, caller, image_id), caller, settings)


@patch("/v2/images/{image_id:str}")
async def update_image(
    request: AnyRequest, image_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> Response[Json]:
    dialect = media_type(request)
    if dialect not in {patches.V21, patches.V20}:
        raise HTTPException(
            status_code=415,
            detail="The body must be a JSON patch of the image API.",
            headers={"Accept-Patch": patches.ACCEPT_PATCH},
        )
    changes = patches.read_changes(await request.body())
    before = await images.get_own_image(tx, caller, image_id)
    after = await images.update_image(tx, caller, before, patches.apply_changes(before, changes, dialect))
    return Response(wire.image_to_wire(after, caller, settings))


@delete("/v2/images/{image_id:str}")
async def delete_image(image_id: str, tx: Transaction, caller: Caller) -> None:
    """A body such as {"delete_backup": true} is legal; there are no backups that it could mean."""
    await images.delete_image(tx, caller, image_id)


@post("/v2/images/{image_id:str}/actions/deactivate", status_code=204)
async def deactivate_image(image_id: str, tx: Transaction, caller: Caller) -> None:
    await images.set_active(tx, caller, image_id, active=False)


@post("/v2/images/{image_id:str}/actions/reactivate", status_code=204)
async def reactivate_image(image_id: str, tx: Transaction, caller: Caller) -> None:
    await images.set_active(tx, caller, image_id, active=True)


@put("/v2/images/{image_id:str}/tags/{tag:path}", status_code=204)
async def add_tag(request: AnyRequest, image_id: str, tx: Transaction, caller: Caller) -> None:
    await images.add_tag(tx, caller, image_id, _tag(request))


@delete("/v2/images/{image_id:str}/tags/{tag:path}")
async def remove_tag(request: AnyRequest, image_id: str, tx: Transaction, caller: Caller) -> None:
    await images.remove_tag(tx, caller, image_id, _tag(request))


@get("/v2/images/{image_id:str}/members")
async def list_members(image_id: str, tx: Transaction, caller: Caller) -> Json:
    members = await sharing.list_members(tx, caller, image_id)
    return {"members": [wire.member_to_wire(member) for member in members], "schema": "/v2/schemas/members"}


@post("/v2/images/{image_id:str}/members", status_code=200)
async def add_member(request: AnyRequest, image_id: str, tx: Transaction, caller: Caller) -> Json:
    member_id = wire.new_member_id(await request.body())
    return wire.member_to_wire(await sharing.add_member(tx, caller, image_id, member_id))


@get("/v2/images/{image_id:str}/members/{member_id:str}")
async def show_member(image_id: str, member_id: str, tx: Transaction, caller: Caller) -> Json:
    return wire.member_to_wire(await sharing.get_member(tx, caller, image_id, member_id))


@put("/v2/images/{image_id:str}/members/{member_id:str}", status_code=200)
async def answer_share(request: AnyRequest, image_id: str, member_id: str, tx: Transaction, caller: Caller) -> Json:
    status = wire.member_status(await request.body())
    return wire.member_to_wire(await sharing.answer_share(tx, caller, image_id, member_id, status))


@delete("/v2/images/{image_id:str}/members/{member_id:str}")
async def remove_member(image_id: str, member_id: str, tx: Transaction, caller: Caller) -> None:
    await sharing.remove_member(tx, caller, image_id, member_id)


handlers = [
    create_image,
    list_images,
    show_image,
    update_image,
    delete_image,
    deactivate_image,
    reactivate_image,
    add_tag,
    remove_tag,
    list_members,
    add_member,
    show_member,
    answer_share,
    remove_member,
]
