"""Sharing an image with other projects, its members.

pending ──► accepted ◄──► rejected        the owner adds a member, the member itself answers
"""

from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.identity.model import Caller
from stillframe.images import rows
from stillframe.images.errors import (
    MemberAnswerForbiddenError,
    MemberExistsError,
    MemberNotFoundError,
    SharingForbiddenError,
    TooManyError,
)
from stillframe.images.model import MAX_MEMBERS, Image, Member, MemberStatus, Visibility
from stillframe.images.service import get_own_image, get_visible_image
from stillframe.images.visibility import is_owner
from stillframe.kit.clock import utcnow


async def add_member(tx: Transaction, caller: Caller, image_id: str, project_id: str) -> Member:
    """Shares the image; a private one becomes shared by it.

    Raises: as `get_own_image`; SharingForbiddenError for public and community images, MemberExistsError, TooManyError.
    """
    image = await get_own_image(tx, caller, image_id)
    _require_shareable(image)
    if await rows.get_member(tx, image.id, project_id) is not None:
        raise MemberExistsError(f"Member {project_id} is duplicated for image {image.id}")
    if len(await rows.list_members(tx, image.id)) >= MAX_MEMBERS:
        raise TooManyError(f"An image can be shared with at most {MAX_MEMBERS} projects.")
    now = utcnow()
    member = Member(
        image_id=image.id, project_id=project_id, status=MemberStatus.PENDING, created_at=now, updated_at=now
    )
    await rows.insert_member(tx, member)
    await _set_visibility(tx, image, Visibility.SHARED)
    return member


async def remove_member(tx: Transaction, caller: Caller, image_id: str, project_id: str) -> None:
    """The image becomes private again with its last member.

    Raises: as `get_own_image`; SharingForbiddenError for public and community images, which it would make private;
    MemberNotFoundError.
    """
    image = await get_own_image(tx, caller, image_id)
    _require_shareable(image)
    if not await rows.delete_member(tx, image.id, project_id):
        raise MemberNotFoundError(f"{project_id[:255]} is not a member of image {image.id}")
    if not await rows.list_members(tx, image.id):
        await _set_visibility(tx, image, Visibility.PRIVATE)


async def answer_share(tx: Transaction, caller: Caller, image_id: str, project_id: str, status: MemberStatus) -> Member:
    """What the project shared with thinks of it; an administrator of the platform may answer for it.

    Raises: as `get_member`, MemberAnswerForbiddenError.
    """
    caller.require_writer()
    await get_visible_image(tx, caller, image_id, lock=True)
    member = await get_member(tx, caller, image_id, project_id)
    if caller.project_id != project_id and not caller.is_platform_admin:
        raise MemberAnswerForbiddenError
    answered = replace(member, status=status, updated_at=utcnow())
    await rows.update_member(tx, answered)
    return answered


async def list_members(tx: Transaction, caller: Caller, image_id: str) -> list[Member]:
    """All of them for the owner, for a member itself only.

    Raises: ImageNotFoundError, SharingForbiddenError for public and community images, which have none.
    """
    image = await get_visible_image(tx, caller, image_id)
    _require_shareable(image)
    members = await rows.list_members(tx, image.id)
    if is_owner(caller, image) or caller.is_platform_admin:
        return members
    return [member for member in members if member.project_id == caller.project_id]


async def get_member(tx: Transaction, caller: Caller, image_id: str, project_id: str) -> Member:
    """Raises: as `list_members`; MemberNotFoundError, which also hides members from each other."""
    found = [one for one in await list_members(tx, caller, image_id) if one.project_id == project_id]
    if not found:
        raise MemberNotFoundError(f"{project_id[:255]} is not a member of image {image_id}")
    return found[0]


def _require_shareable(image: Image) -> None:
    if image.visibility not in {Visibility.PRIVATE, Visibility.SHARED}:
        raise SharingForbiddenError


async def _set_visibility(tx: Transaction, image: Image, visibility: Visibility) -> None:
    if image.visibility is not visibility:
        await rows.replace_image(tx, replace(image, visibility=visibility, updated_at=utcnow()))
