"""Sharing images in batches, and the members of one image.

Source: Open Telekom Cloud, IMS API reference, "Image Sharing"; huaweicloudsdkims, list_image_members.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from litestar import Request, delete, get, post, put

from stillframe.api.ims import wire
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, RequestFormatError
from stillframe.identity.model import Caller
from stillframe.images import member_batches, sharing
from stillframe.images.model import Member, MemberStatus
from stillframe.images.refusals import (
    ImageListEmptyError,
    OperationNotSupportedError,
    ProjectIdInvalidError,
    ProjectListEmptyError,
)
from stillframe.kit.clock import iso_seconds_z
from stillframe.kit.ids import normalized_uuid

AnyRequest = Request[Any, Any, Any]

DEFAULT_LIMIT = 500

_ANSWERS = {"accepted": MemberStatus.ACCEPTED, "rejected": MemberStatus.REJECTED}


class MembersBody(msgspec.Struct, kw_only=True):
    """POST and DELETE /v1/cloudimages/members"""

    images: list[str] | None = None
    projects: list[str] | None = None
    domains: list[str] | None = None
    organizations: list[str] | None = None


class AnswerBody(msgspec.Struct, kw_only=True):
    """PUT /v1/cloudimages/members"""

    images: list[str] | None = None
    project_id: str | None = None
    status: str | None = None
    vault_id: str | None = None


@post("/v1/cloudimages/members", status_code=200)
async def share_images(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> dict[str, str]:
    images, projects = _checked_batch(wire.decode_body(await request.body(), MembersBody))
    job = await member_batches.share_images(tx, caller, settings, images, projects)
    return {"job_id": job.id}


@delete("/v1/cloudimages/members", status_code=200)
async def unshare_images(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> dict[str, str]:
    images, projects = _checked_batch(wire.decode_body(await request.body(), MembersBody))
    job = await member_batches.unshare_images(tx, caller, settings, images, projects)
    return {"job_id": job.id}


@put("/v1/cloudimages/members")
async def answer_shares(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> dict[str, str]:
    images, status = _checked_answer(wire.decode_body(await request.body(), AnswerBody), caller)
    job = await member_batches.answer_shares(tx, caller, settings, images, status)
    return {"job_id": job.id}


def _checked_batch(body: MembersBody) -> tuple[list[str], list[str]]:
    """Raises, in this order: IMG.0086 0041 0105 0067 0066, by their classes."""
    images, projects = body.images or [], body.projects or []
    if not images:
        raise ImageListEmptyError
    if any(body.domains or []) or any(body.organizations or []):
        raise OperationNotSupportedError("Images are shared with projects only.")
    if not projects or not all(projects):
        raise ProjectListEmptyError
    checked = [checked_project_id(text) for text in projects]
    return [wire.checked_image_id(text) for text in images], checked


def _checked_answer(body: AnswerBody, caller: Caller) -> tuple[list[str], MemberStatus]:
    """Raises, in this order: IMG.0086 0001 0067 0001 0066, by their classes."""
    if not body.images:
        raise ImageListEmptyError
    if body.project_id is None:
        raise RequestFormatError("project_id must be given.")
    if checked_project_id(body.project_id) != caller.require_project():
        raise ProjectIdInvalidError("Only the project of the token can answer.")
    if body.status not in _ANSWERS:
        raise RequestFormatError("status must be accepted or rejected.")
    return [wire.checked_image_id(text) for text in body.images], _ANSWERS[body.status]


def checked_project_id(text: str) -> str:
    """32 hex digits; a UUID with dashes means the same project."""
    project_id = normalized_uuid(text)
    if project_id is None:
        raise ProjectIdInvalidError
    return project_id.replace("-", "")


@get("/v1/{project_id:str}/cloudimages/{image_id:str}/members")
async def list_members(
    request: AnyRequest, project_id: str, image_id: str, tx: Transaction, caller: Caller
) -> dict[str, Any]:
    wire.require_same_project(project_id, caller)
    limit, marker = _page(request.query_params.multi_items())
    members = await sharing.list_members(tx, caller, wire.checked_image_id(image_id))
    return _members_page(members, limit, marker)


@get("/v1/{project_id:str}/cloudimages/{image_id:str}/members/{member_id:str}")
async def show_member(
    project_id: str, image_id: str, member_id: str, tx: Transaction, caller: Caller
) -> dict[str, Any]:
    wire.require_same_project(project_id, caller)
    member = await sharing.get_member(tx, caller, wire.checked_image_id(image_id), checked_project_id(member_id))
    return member_to_wire(member)


def _page(parameters: Iterable[tuple[str, str]]) -> tuple[int, str | None]:
    given = dict(parameters)
    return wire.checked_limit(given.get("limit"), default=DEFAULT_LIMIT, highest=DEFAULT_LIMIT), given.get("marker")


def _members_page(members: list[Member], limit: int, marker: str | None) -> dict[str, Any]:
    """The marker is the project of the last member of the page before."""
    start = 0
    if marker is not None:
        projects = [member.project_id for member in members]
        if marker not in projects:
            raise InvalidInputError("The marker is no member of the image.", field="marker")
        start = projects.index(marker) + 1
    page = members[start : start + limit]
    more = len(members) > start + limit
    return {
        "members": [member_to_wire(member) for member in page],
        "schema": "/v2/schemas/members",
        "page_info": {"next_marker": page[-1].project_id if page and more else None, "current_count": len(page)},
    }


def member_to_wire(member: Member) -> dict[str, Any]:
    return {
        "status": str(member.status),
        "created_at": iso_seconds_z(member.created_at),
        "updated_at": iso_seconds_z(member.updated_at),
        "image_id": member.image_id,
        "member_id": member.project_id,
        "member_type": "project",
        "urn": None,
        "schema": "/v2/schemas/member",
    }


handlers = [share_images, unshare_images, answer_shares, list_members, show_member]
