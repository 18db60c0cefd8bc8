"""Codes that no ordinary request leads to: what is broken is broken by hand, the answer comes through the door."""

import asyncio

import pytest
import sqlalchemy as sa

from stillframe.errors import GuestDiskUnreadableError, ToolFailedError
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Lane, NewJob, Service
from tests.api.ims.desk import Desk, code_of
from tests.images.helpers import OURS, THEIRS
from tests.servers.test_actions import a_server

MEMBERS = "/v1/cloudimages/members"


async def break_by(desk: Desk, statement: str, **parameters: object) -> None:
    async with desk.world.database.writing() as tx:
        await tx.execute(sa.text(statement), [parameters] if parameters else None)


@pytest.mark.parametrize("change", ["layer_id = NULL", "project_id = 'nobody'"])
async def test_a_system_disk_without_data_or_of_others_is_told(small_desk: Desk, change: str) -> None:
    server = await a_server(small_desk.world)
    await break_by(small_desk, f"UPDATE volumes SET {change} WHERE server_id = :server", server=server.id)  # noqa: S608
    body = {"name": "n", "instance_id": server.id}
    refused = await small_desk.ask("POST", "/v2/cloudimages/action", body)
    assert code_of(refused) == "IMG.0006"
    assert refused.json()["error"]["message"] == "The ECS system disk cannot be used to create an image."


async def test_a_job_that_cannot_be_stored_is_told_and_nothing_is_left_of_it(small_desk: Desk) -> None:
    image = (await small_desk.image()).id
    await break_by(
        small_desk, "CREATE TRIGGER full BEFORE INSERT ON jobs BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
    )
    for path, body in (
        (MEMBERS, {"images": [image], "projects": [THEIRS]}),
        (f"/v1/cloudimages/{image}/copy", {"name": "n"}),
    ):
        answer = await small_desk.ask("POST", path, body)
        assert answer.status_code == 500
        assert answer.json() == {
            "error": {"code": "IMG.0018", "message": "An error occurred when the job was submitted."}
        }
    assert (await small_desk.ask("GET", "/v2/cloudimages", params={"name": "n"})).json()["images"] == []


async def test_what_nobody_has_foreseen_is_a_plain_500(small_desk: Desk) -> None:
    await break_by(small_desk, "DROP TABLE image_members")
    answer = await small_desk.ask("GET", "/v1/cloudimages/quota")
    assert answer.status_code == 500
    assert answer.json() == {"error": {"code": "IMG.0061", "message": "Unknown system error."}}


async def test_an_image_that_cannot_be_flattened_is_not_exported(small_desk: Desk) -> None:
    """The export has it flattened once more, and then waits for it no longer."""
    world = small_desk.world
    image = await small_desk.image(os_hash_value=None)
    new = NewJob(
        kind="image_export",
        service=Service.IMS,
        lane=Lane.TRANSFER,
        subject_id=image.id,
        project_id=OURS,
        args={"image_id": image.id, "bucket": "b", "key": "k", "file_format": "qcow2"},
    )
    async with world.database.writing() as tx:
        job = await jobs.submit_job(tx, new)
    export = asyncio.create_task(world.carry_out(job))
    while not export.done():
        for other in await world.queued_jobs():
            if other.kind == "image_consolidate":
                async with world.database.writing() as tx:
                    await jobs.fail_job(tx, other.id, ToolFailedError())
        await asyncio.sleep(0.05)
    await export
    failed = await small_desk.show_job(job.id)
    assert (failed["error_code"], failed["fail_reason"]) == ("IMG.0071", "The image cannot be exported.")


async def test_a_guest_that_cannot_be_looked_into_is_told_by_its_job(small_desk: Desk) -> None:
    """What libguestfs finds unreadable depends on its release; the job that has met it is shown alike."""
    new = NewJob(kind="image_import", service=Service.IMS, lane=Lane.TRANSFER, subject_id=None, project_id=OURS)
    async with small_desk.world.database.writing() as tx:
        job = await jobs.submit_job(tx, new)
        await jobs.fail_job(tx, job.id, GuestDiskUnreadableError())
    failed = await small_desk.show_job(job.id)
    assert (failed["error_code"], failed["fail_reason"]) == ("IMG.0138", "Failed to obtain the OS type information.")
