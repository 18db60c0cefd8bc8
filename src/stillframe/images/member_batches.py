"""Sharing several images with several projects at once, as jobs whose result tells of every pair.

What can be checked when the job is submitted is, and one image that cannot be shared refuses the whole request. What
changes between then and the job's run makes that pair fail. A job in which nothing went well fails, with the error of
its first pair.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import (
    ImageNotActiveError,
    IsoImageRefusedError,
    NotFoundError,
    NotImageOwnerError,
    StillframeError,
)
from stillframe.identity import service as identity
from stillframe.identity.model import Caller
from stillframe.images import quota, rows
from stillframe.images.model import MAX_MEMBERS, Image, ImageKind, ImageStatus, Member, MemberStatus, Visibility
from stillframe.images.refusals import (
    EncryptedImageSharingError,
    ForeignImageError,
    ImageVanishedError,
    MemberLimitError,
    MembersNotAddedError,
    MembersNotRemovedError,
    NotSharedWithCallerError,
    ProjectUnknownError,
    PublicImageSharingError,
    ShareWithOneselfError,
    WholeImageSharingError,
)
from stillframe.images.service import get_visible_image
from stillframe.images.visibility import is_owner
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Lane, NewJob, Service
from stillframe.jobs.recipes import Recipe, Step
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow

ADD_KIND = "image_members_add"
REMOVE_KIND = "image_members_remove"
ANSWER_KIND = "image_members_answer"

MAX_WHOLE_IMAGE_MEMBERS = 10


async def share_images(
    tx: Transaction, caller: Caller, settings: Settings, image_ids: Iterable[str], project_ids: Iterable[str]
) -> Job:
    """Raises, in this order: ShareWithOneselfError, ProjectUnknownError; per image: ImageNotFoundError,
    PublicImageSharingError, NotImageOwnerError, IsoImageRefusedError, WholeImageSharingError,
    EncryptedImageSharingError, ImageNotActiveError, MemberLimitError; ImageJobLimitError.
    Source: Open Telekom Cloud, IMS API reference, "Adding Tenants That Can Use Shared Images".
    """
    images, projects = _once(image_ids), _once(project_ids)
    if caller.require_project() in projects:
        raise ShareWithOneselfError
    if len(projects) > MAX_MEMBERS:
        raise MemberLimitError
    for project_id in projects:
        if not await _is_known(tx, project_id):
            raise ProjectUnknownError
    found = [await _shareable_image(tx, caller, image_id, projects) for image_id in images]
    owners = {image.id: image.project_id for image in found}
    return await _submit(tx, caller, settings, ADD_KIND, images, {"projects": projects, "owners": owners})


async def _shareable_image(tx: Transaction, caller: Caller, image_id: str, projects: list[str]) -> Image:
    image = await _own_image(tx, caller, image_id)
    _require_shareable(image)
    members = {member.project_id for member in await rows.list_members(tx, image.id)}
    if len(members.union(projects)) > _member_limit(image):
        raise MemberLimitError
    return image


async def _own_image(tx: Transaction, caller: Caller, image_id: str) -> Image:
    image = await get_visible_image(tx, caller, image_id)
    if image.visibility is Visibility.PUBLIC:
        raise PublicImageSharingError
    if not is_owner(caller, image) and not caller.is_platform_admin:
        raise NotImageOwnerError
    return image


def _require_shareable(image: Image) -> None:
    if image.visibility not in {Visibility.PRIVATE, Visibility.SHARED}:
        raise PublicImageSharingError
    if image.kind is ImageKind.ISO:
        raise IsoImageRefusedError
    if image.is_whole and not image.properties.get("__backup_id"):
        raise WholeImageSharingError
    if image.is_encrypted:
        raise EncryptedImageSharingError
    if image.status is not ImageStatus.ACTIVE:
        raise ImageNotActiveError


def _member_limit(image: Image) -> int:
    return MAX_WHOLE_IMAGE_MEMBERS if image.is_whole else MAX_MEMBERS


async def unshare_images(
    tx: Transaction, caller: Caller, settings: Settings, image_ids: Iterable[str], project_ids: Iterable[str]
) -> Job:
    """A project that is no member makes its pair fail, unless nobody knows it at all.

    Raises, in this order: per image ImageNotFoundError, PublicImageSharingError, NotImageOwnerError;
    ProjectUnknownError, ImageJobLimitError.
    """
    images, projects = _once(image_ids), _once(project_ids)
    members: set[str] = set()
    for image_id in images:
        image = await _own_image(tx, caller, image_id)
        members.update(member.project_id for member in await rows.list_members(tx, image.id))
    for project_id in projects:
        if project_id not in members and not await _is_known(tx, project_id):
            raise ProjectUnknownError
    return await _submit(tx, caller, settings, REMOVE_KIND, images, {"projects": projects})


async def answer_shares(
    tx: Transaction, caller: Caller, settings: Settings, image_ids: Iterable[str], status: MemberStatus
) -> Job:
    """The caller's project accepts or rejects images that are shared with it.

    Raises, per image: ImageNotFoundError, ForeignImageError for another's community image, NotSharedWithCallerError;
    ImageJobLimitError.
    Source: Open Telekom Cloud, IMS API reference, "Updating the Statuses of Image Share".
    """
    project_id = caller.require_project()
    images = _once(image_ids)
    for image_id in images:
        image = await get_visible_image(tx, caller, image_id)
        if await rows.get_member(tx, image.id, project_id) is None:
            foreign = image.visibility is Visibility.COMMUNITY and not is_owner(caller, image)
            raise ForeignImageError if foreign else NotSharedWithCallerError
    return await _submit(tx, caller, settings, ANSWER_KIND, images, {"project_id": project_id, "status": status})


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


async def _is_known(tx: Transaction, project_id: str) -> bool:
    try:
        await identity.get_project(tx, project_id)
    except NotFoundError:
        return False
    return True


async def _submit(
    tx: Transaction, caller: Caller, settings: Settings, kind: str, images: list[str], args: dict[str, Any]
) -> Job:
    project_id = caller.require_project()
    await quota.require_room_for_job(tx, project_id, settings)
    return await jobs.submit_job(
        tx,
        NewJob(
            kind=kind,
            service=Service.IMS,
            lane=Lane.SEAL,
            subject_id=images[0] if len(images) == 1 else None,
            project_id=project_id,
            user_id=caller.user_id,
            args={"images": images, **args},
            timeout_s=settings.job_timeout_s,
        ),
    )


# The jobs. Each is one transaction, which also ends it.


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Of one image and one project; `project_id` is None in an answer, where it goes without saying."""

    image_id: str
    project_id: str | None = None
    error: StillframeError | None = None

    @property
    def plain(self) -> dict[str, Any]:
        told = {"image_id": self.image_id}
        if self.project_id is not None:
            told["project_id"] = self.project_id
        if self.error is None:
            return told | {"status": "success"}
        return told | {"status": "fail", "error_code": self.error.code, "error": self.error.message}


class _Batch(NamedTuple):
    """The part of a job that is about one image, which is None when it is gone."""

    tx: Transaction
    job: Job
    image_id: str
    image: Image | None

    def outcome(self, project_id: str | None = None, error: StillframeError | None = None) -> Outcome:
        return Outcome(image_id=self.image_id, project_id=project_id, error=error)


async def _add(batch: _Batch) -> list[Outcome]:
    tx, image, projects = batch.tx, batch.image, batch.job.args["projects"]
    refusal = _refusal_of_addition(image, batch.job.args["owners"][batch.image_id])
    if image is None or refusal is not None:
        return [batch.outcome(project_id, refusal) for project_id in projects]
    members = {member.project_id for member in await rows.list_members(tx, image.id)}
    outcomes = []
    for project_id in projects:
        fits = project_id in members or len(members) < _member_limit(image)
        if fits and project_id not in members:
            await rows.insert_member(tx, _new_member(image.id, project_id))
            members.add(project_id)
        outcomes.append(batch.outcome(project_id, None if fits else MemberLimitError()))
    await _set_visibility(tx, image, Visibility.SHARED)
    return outcomes


def _refusal_of_addition(image: Image | None, owner_id: str) -> StillframeError | None:
    if image is None:
        return ImageVanishedError()
    if image.project_id != owner_id:
        return MembersNotAddedError()
    try:
        _require_shareable(image)
    except StillframeError as error:
        return error
    return None


def _new_member(image_id: str, project_id: str) -> Member:
    now = utcnow()
    return Member(image_id=image_id, project_id=project_id, status=MemberStatus.PENDING, created_at=now, updated_at=now)


async def _remove(batch: _Batch) -> list[Outcome]:
    tx, image, projects = batch.tx, batch.image, batch.job.args["projects"]
    if image is None:
        return [batch.outcome(project_id, ImageVanishedError()) for project_id in projects]
    outcomes = []
    for project_id in projects:
        was_member = await rows.delete_member(tx, image.id, project_id)
        outcomes.append(batch.outcome(project_id, None if was_member else MembersNotRemovedError()))
    if not await rows.list_members(tx, image.id):
        await _set_visibility(tx, image, Visibility.PRIVATE)
    return outcomes


async def _answer(batch: _Batch) -> list[Outcome]:
    args = batch.job.args
    if batch.image is None:
        return [batch.outcome(error=ImageVanishedError())]
    member = await rows.get_member(batch.tx, batch.image_id, args["project_id"])
    if member is None:
        return [batch.outcome(error=NotSharedWithCallerError())]
    await rows.update_member(batch.tx, replace(member, status=MemberStatus(args["status"]), updated_at=utcnow()))
    return [batch.outcome()]


async def _set_visibility(tx: Transaction, image: Image, visibility: Visibility) -> None:
    if image.visibility in {Visibility.PRIVATE, Visibility.SHARED} and image.visibility is not visibility:
        await rows.replace_image(tx, replace(image, visibility=visibility, updated_at=utcnow()))


def _step(name: str, work: Callable[[_Batch], Awaitable[list[Outcome]]]) -> Step:
    async def run(resources: Resources, job: Job) -> None:
        async with resources.database.writing() as tx:
            # Locked in one order by everybody, so that no two jobs wait for each other.
            locked = {one: await rows.get_image(tx, one, lock=True) for one in sorted(job.args["images"])}
            batches = [_Batch(tx, job, image_id, locked[image_id]) for image_id in job.args["images"]]
            outcomes = [outcome for batch in batches for outcome in await work(batch)]
            errors = [outcome.error for outcome in outcomes if outcome.error is not None]
            conclude = jobs.succeed_job if len(errors) < len(outcomes) else jobs.report_result
            await conclude(tx, job.id, {"results": [outcome.plain for outcome in outcomes]})
        if len(errors) == len(outcomes):
            raise errors[0]

    return Step(name, run)


async def _undo(resources: Resources, job: Job) -> None:
    """Either everything was done and the job ended with it, or nothing was."""


RECIPES = (
    Recipe(kind=ADD_KIND, steps=(_step("add", _add),), undo=_undo),
    Recipe(kind=REMOVE_KIND, steps=(_step("remove", _remove),), undo=_undo),
    Recipe(kind=ANSWER_KIND, steps=(_step("answer", _answer),), undo=_undo),
)
