"""Callers and images for tests of the images room."""

from datetime import UTC, datetime, timedelta
from typing import Any

from stillframe.config import Settings
from stillframe.db import Database
from stillframe.identity.model import Caller, Domain, Project
from stillframe.identity.rows import accounts as identity_rows
from stillframe.images import rows
from stillframe.images.model import Image, ImageStatus
from stillframe.kit.ids import new_uuid

DOMAIN = "d" * 32
OURS, THEIRS, OTHERS = "a" * 32, "b" * 32, "c" * 32
PROJECTS = (OURS, THEIRS, OTHERS)
EPOCH = datetime(2026, 1, 1, 10, 0, 0, tzinfo=UTC)
SETTINGS = Settings(image_quota=1000)


def caller(project_id: str = OURS, role: str = "te_admin") -> Caller:
    return Caller(
        user_id="e" * 32,
        user_name="tester",
        domain_id=DOMAIN,
        project_id=project_id,
        project_name="eu-de",
        roles=(role,),
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        token_id=None,
    )


async def add_projects(database: Database) -> None:
    async with database.writing() as tx:
        await identity_rows.insert_domain(tx, Domain(id=DOMAIN, name="test"))
        for project_id in PROJECTS:
            await identity_rows.insert_project(
                tx, Project(id=project_id, name=f"eu-de_{project_id[0]}", domain_id=DOMAIN)
            )


def image(project_id: str = OURS, *, minute: int = 0, **fields: Any) -> Image:
    """An image without data; `minute` orders images in time."""
    created_at = EPOCH + timedelta(minutes=minute)
    defaults = {"id": new_uuid(), "name": f"image-{minute}", "status": ImageStatus.QUEUED}
    given = defaults | {"created_at": created_at, "updated_at": created_at} | fields
    return Image(project_id=project_id, **given)


async def insert(database: Database, *images: Image) -> None:
    async with database.writing() as tx:
        for one in images:
            await rows.insert_image(tx, one)
