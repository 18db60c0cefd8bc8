"""IMS and Glance at one desk: both doors of the image service, on rows alone, spoken to as any project and role.

Jobs wait until the test has them carried out.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx

from stillframe.api import image_v2, ims
from stillframe.db import Database
from stillframe.images.model import Image, Visibility
from tests.images.helpers import OURS
from tests.servers.world import Door, World, add_image, open_world

BOTH = SimpleNamespace(handlers=[*image_v2.handlers, *ims.handlers], exception_handlers=image_v2.exception_handlers)
PATCH_TYPE = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
HASH = "0" * 128


class Desk:
    def __init__(self, world: World, door: Door) -> None:
        self.world = world
        self.door = door

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        project: str = OURS,
        role: str = "member",
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        params: Any = None,
    ) -> httpx.Response:
        self.door.speak_as(project, role)
        sent = {"content": content} if content is not None else {} if body is None else {"json": body}
        return await self.door.request(method, path, headers=headers, params=params, **sent)

    async def refusal(self, method: str, path: str, body: Any = None, **how: Any) -> str:
        """The IMG code of a refusal in the documented form."""
        return code_of(await self.ask(method, path, body, **how))

    async def job(self, method: str, path: str, body: Any = None, *, project: str = OURS, **how: Any) -> dict[str, Any]:
        """Submitted, carried out, and as IMS shows it afterwards."""
        answer = await self.ask(method, path, body, project=project, **how)
        assert answer.status_code == 200, answer.text
        await self.world.run_jobs()
        return await self.show_job(answer.json()["job_id"], project)

    async def show_job(self, job_id: str, project: str = OURS) -> dict[str, Any]:
        shown: dict[str, Any] = (await self.ask("GET", f"/v1/{project}/jobs/{job_id}", project=project)).json()
        return shown

    async def image(self, project: str = OURS, **fields: Any) -> Image:
        """An active one, flattened and private."""
        return await add_image(
            self.world.resources,
            **{"project_id": project, "visibility": Visibility.PRIVATE, "os_hash_value": HASH, **fields},
        )

    async def shown(self, image_id: str, project: str = OURS) -> dict[str, Any]:
        answer = await self.ask("GET", "/v2/cloudimages", params={"id": image_id}, project=project)
        (found,) = answer.json()["images"]
        return dict(found)


def code_of(answer: httpx.Response) -> str:
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"code", "message"}
    return str(error["code"])


@asynccontextmanager
async def open_desk(database: Database, directory: Path, *, bootable: bool = False) -> AsyncIterator[Desk]:
    async with open_world(database, directory, bootable=bootable) as world, world.door(BOTH, service="image") as door:
        yield Desk(world, door)
