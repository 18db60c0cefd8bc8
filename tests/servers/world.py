"""A place for servers without the rest of the service: projects, flavors, a host, an image, and the doors on demand."""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from litestar import Litestar, Request
from litestar.di import Provide
from litestar.types import Guard
from msgspec.structs import replace

from stillframe.api.policy import guard_of
from stillframe.api.responses import EmptyOrJson
from stillframe.app import provide_tx
from stillframe.blobs.layout import DataLayout
from stillframe.config import Settings
from stillframe.db import Database, metadata, open_database
from stillframe.errors import JobCancelledError, StillframeError
from stillframe.flavors import service as flavors
from stillframe.guest import default_cache_dir, public_image
from stillframe.identity.model import Caller
from stillframe.identity.tokens import TokenKeys
from stillframe.images import rows as image_rows
from stillframe.images.model import Image, ImageStatus, OsInfo, Visibility
from stillframe.jobs import rows as job_rows
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, JobState
from stillframe.jobs.resources import Resources
from stillframe.kit.ids import new_uuid
from stillframe.kit.units import GIB
from stillframe.layers import service as layers
from stillframe.ops.worker import recipe_book
from stillframe.servers import creation, hosts
from stillframe.servers import rows as server_rows
from stillframe.servers.model import NewServer, Server
from tests.images.helpers import OURS, THEIRS, add_projects, caller

__all__ = ["OURS", "THEIRS", "World", "caller", "open_world", "private_database"]

RECIPES = {recipe.kind: recipe for recipe in recipe_book()}
HOST_MEMORY_MIB = 64 * 1024


@dataclass
class World:
    resources: Resources
    image: Image

    @property
    def database(self) -> Database:
        return self.resources.database

    @property
    def settings(self) -> Settings:
        return self.resources.settings

    def choose(self, **settings: Any) -> None:
        """Other settings from now on."""
        self.resources = replace_settings(self.resources, **settings)

    async def create(self, who: Caller | None = None, **wanted: Any) -> Server:
        new = NewServer(**{"name": "web", "flavor_id": "s3.tiny", "image_id": self.image.id, **wanted})
        async with self.database.writing() as tx:
            return await creation.create_server(tx, who or caller(), self.settings, new)

    async def server(self, server_id: str) -> Server | None:
        async with self.database.reading() as tx:
            return await server_rows.get_server(tx, server_id)

    async def set_server(self, server_id: str, **changes: Any) -> Server:
        """As if jobs had brought it there."""
        async with self.database.writing() as tx:
            server = await server_rows.get_server(tx, server_id)
            assert server is not None
            changed = replace(server, **changes)
            await server_rows.replace_server(tx, changed)
        return changed

    async def queued_jobs(self) -> list[Job]:
        async with self.database.reading() as tx:
            return await job_rows.list_jobs_in_state(tx, [JobState.QUEUED])

    async def job(self, job_id: str) -> Job:
        async with self.database.reading() as tx:
            found = await job_rows.get_job(tx, job_id)
        assert found is not None
        return found

    async def run_jobs(self) -> None:
        """Carries out what is waiting as the worker does, one job after the other."""
        async with self.database.reading() as tx:
            waiting = await job_rows.list_jobs_in_state(tx, [JobState.QUEUED, JobState.CANCELLING])
        for job in sorted(waiting, key=lambda job: job.state != JobState.CANCELLING):
            await self.carry_out(job)

    async def carry_out(self, job: Job) -> None:
        recipe = RECIPES[job.kind]
        try:
            for step in recipe.steps:
                await self.run_step(job, step.name)
        except StillframeError as error:
            await recipe.undo(self.resources, await self.job(job.id))
            async with self.database.writing() as tx:
                await jobs.fail_job(tx, job.id, error, cancelled=isinstance(error, JobCancelledError))

    async def run_step(self, job: Job, name: str) -> None:
        now = await self.job(job.id)
        if now.state is JobState.CANCELLING:
            raise JobCancelledError
        step = next(step for step in RECIPES[job.kind].steps if step.name == name)
        await step.run(self.resources, now)

    def door(self, package: Any, *, service: str = "", **headers: str) -> "Door":
        """With the policy of the service that is named in front of it."""
        guards = [guard_of(service, self.database)] if service else []
        return Door(_build_door(package, lambda: self.resources, guards), headers)


class Door(httpx.AsyncClient):
    """Speaks as a project, and with a role, of the test's choice."""

    def __init__(self, app: Litestar, headers: dict[str, str]) -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]
        super().__init__(transport=transport, base_url="http://stillframe.test:8774", headers=headers)
        self.speak_as(OURS)

    def speak_as(self, project_id: str, role: str = "te_admin") -> None:
        self.headers.update({"x-project": project_id, "x-role": role})


def replace_settings(resources: Resources, **settings: Any) -> Resources:
    return Resources(
        settings=replace(resources.settings, **settings),
        layout=resources.layout,
        database=resources.database,
        token_keys=resources.token_keys,
    )


@asynccontextmanager
async def private_database(directory: Path) -> AsyncIterator[Database]:
    """On SQLite, for tests to which the database makes no difference."""
    opened = open_database(f"sqlite+aiosqlite:///{directory / 'test.db'}")
    async with opened.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def open_world(database: Database, directory: Path, *, bootable: bool = False) -> AsyncIterator[World]:
    """`bootable` gives the image real bytes; without, servers have rows and no machines."""
    layout = DataLayout(directory / "data")
    layout.create()
    settings = Settings(data_dir=layout.root, machine_stop_timeout_s=20.0, machine_overhead_mib=0)
    resources = Resources(settings=settings, layout=layout, database=database, token_keys=TokenKeys.open(layout))
    await add_projects(database)
    async with database.writing() as tx:
        await flavors.bootstrap_flavors(tx)
        await hosts.register_host(tx, HOST_MEMORY_MIB)
    yield World(resources, await add_image(resources, bootable=bootable))


async def add_image(resources: Resources, *, bootable: bool = False, **fields: Any) -> Image:
    """A public one. With real bytes it is the tiny Linux."""
    image_id, layer_id = new_uuid(), new_uuid()
    async with resources.database.writing() as tx:
        await layers.plan_blob(tx, layer_id, "qcow2")
        await layers.seal(tx, layer_id, virtual_size_bytes=GIB // 8, stored_bytes=1000)
        layer = await layers.get_layer(tx, layer_id)
        known = {
            "id": image_id,
            "project_id": "0" * 32,
            "name": "tiny",
            "status": ImageStatus.ACTIVE,
            "visibility": Visibility.PUBLIC,
            "disk_format": "qcow2",
            "container_format": "bare",
            "size_bytes": 1000,
            "virtual_size_bytes": GIB // 8,
            "layer_id": layer_id,
            "min_disk_gib": 1,
            "min_ram_mib": 128,
            "os": OsInfo(version="Other Linux(64 bit)"),
            "created_at": layer.touched_at,
            "updated_at": layer.touched_at,
        }
        image = Image(**{**known, **fields})
        await image_rows.insert_image(tx, image)
    if bootable:
        path = layers.link(resources.layout, layer).path
        shutil.copyfile(public_image(default_cache_dir()), path)
    return image


async def _caller(request: Request[Any, Any, Any]) -> Caller:
    return request.scope["state"]["caller"]  # type: ignore[no-any-return]


def _build_door(package: Any, resources: Callable[[], Resources], guards: list[Guard]) -> Any:
    app = Litestar(
        route_handlers=package.handlers,
        guards=guards,
        exception_handlers=package.exception_handlers,
        dependencies={
            "tx": Provide(provide_tx),
            "caller": Provide(_caller),
            "settings": Provide(lambda: resources().settings, sync_to_thread=False),
            "database": Provide(lambda: resources().database, sync_to_thread=False),
            "resources": Provide(resources, sync_to_thread=False),
        },
        response_class=EmptyOrJson,
        openapi_config=None,
        logging_config=None,
        request_max_body_size=4 * 1024 * 1024,
    )

    async def with_caller(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        who = caller(headers[b"x-project"].decode(), headers[b"x-role"].decode())
        await app({**scope, "state": {"caller": who}}, receive, send)

    return with_caller


async def finish_job(world: World, job: Job) -> None:
    """As if its other steps had gone well."""
    async with world.database.writing() as tx:
        await jobs.succeed_job(tx, job.id, {})
