"""The door of Glance by itself: its routes, the dependencies the whole service gives them, a caller from a header."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request
from litestar.di import Provide

from stillframe.api import image_v2
from stillframe.app import provide_tx
from stillframe.blobs.layout import DataLayout
from stillframe.config import Settings
from stillframe.db import Database
from stillframe.identity.model import Caller
from stillframe.identity.tokens import TokenKeys
from stillframe.jobs.resources import Resources
from tests.images.helpers import OURS, add_projects, caller

QUOTA = 40


async def _caller(request: Request[Any, Any, Any]) -> Caller:
    return caller(request.headers["x-project"], request.headers["x-role"])


def settings_for(data_dir: Path, **chosen: Any) -> Settings:
    return Settings(data_dir=data_dir, image_quota=QUOTA, **chosen)


@pytest.fixture
async def resources(database: Database, tmp_path: Path) -> Resources:
    layout = DataLayout(tmp_path / "data")
    layout.create()
    await add_projects(database)
    return Resources(
        settings=settings_for(layout.root), layout=layout, database=database, token_keys=TokenKeys.open(layout)
    )


def build_door(resources: Resources) -> Litestar:
    return Litestar(
        route_handlers=image_v2.handlers,
        exception_handlers=image_v2.exception_handlers,
        dependencies={
            "tx": Provide(provide_tx),
            "caller": Provide(_caller),
            "settings": Provide(lambda: resources.settings, sync_to_thread=False),
            "database": Provide(lambda: resources.database, sync_to_thread=False),
            "resources": Provide(lambda: resources, sync_to_thread=False),
        },
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,
    )


class Door(httpx.AsyncClient):
    """Speaks as a project, and with a role, of the test's choice."""

    def __init__(self, app: Litestar) -> None:
        transport = httpx.ASGITransport(image_v2.around(app), raise_app_exceptions=False)
        super().__init__(transport=transport, base_url="http://images:9292")
        self.speak_as(OURS)

    def speak_as(self, project_id: str, role: str = "te_admin") -> None:
        self.headers.update({"x-project": project_id, "x-role": role})

    async def create(self, **attributes: Any) -> dict[str, Any]:
        answer = await self.post("/v2/images", json=attributes)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    async def patch_image(self, image_id: str, *changes: Any, version: str = "2.1") -> httpx.Response:
        media_type = f"application/openstack-images-v{version}-json-patch"
        return await self.patch(
            f"/v2/images/{image_id}",
            headers={"content-type": media_type},
            content=httpx.Request("PATCH", "http://x", json=list(changes)).content,
        )


@pytest.fixture
async def door(resources: Resources) -> AsyncIterator[Door]:
    async with Door(build_door(resources)) as client:
        yield client
