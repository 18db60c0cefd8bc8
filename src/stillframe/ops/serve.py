"""The API process: one uvicorn, one listening socket per service."""

import contextlib
import gc
import os
import resource
import socket
from collections.abc import AsyncIterator

import structlog
import uvicorn
import uvloop

from stillframe.app import build_app
from stillframe.blobs.layout import DataLayout
from stillframe.config import PORTS, Settings
from stillframe.db import open_database
from stillframe.db.migrations import wait_until_current
from stillframe.identity.service import lookup_access_key
from stillframe.identity.tokens import TokenKeys
from stillframe.jobs.resources import Resources
from stillframe.ops.bootstrap import bootstrap
from stillframe.ops.connections import BoundedConnection
from stillframe.ops.logs import configure_logging
from stillframe.ops.obs_auth_server import ObsAccount, ObsAuthServer
from stillframe.ops.sockets import bind_listener
from stillframe.ops.wake import waker
from stillframe.qemu.host import choose_machine_user

log = structlog.get_logger("stillframe.serve")


def run(settings: Settings, number: int = 0) -> None:
    """Serves until SIGTERM or SIGINT. The first of several processes (0) prepares the database for all."""
    os.umask(0o077)
    _allow_many_connections()
    configure_logging(settings.log_level)
    choose_machine_user(settings.machine_user)
    layout = DataLayout(settings.data_dir)
    layout.create()
    sockets = open_sockets(settings)
    uvloop.run(_serve(settings, layout, sockets, number))


def _allow_many_connections() -> None:
    """Most hosts give a process 1024 files to begin with, and far more when it asks."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def open_sockets(settings: Settings) -> list[socket.socket]:
    """Raises: UnavailableError naming the port that cannot be had."""
    shared = settings.api_processes > 1
    return [
        bind_listener(settings.host, settings.port(service), service, shared=shared)
        for service in PORTS
        if service != "obs"
    ]


async def _serve(settings: Settings, layout: DataLayout, sockets: list[socket.socket], number: int) -> None:
    gc.disable()  # what is made until it serves stays
    database = open_database(settings.db_url, waker(layout.socket("worker")))
    resources = Resources(settings=settings, layout=layout, database=database, token_keys=TokenKeys.open(layout))
    if number == 0:
        await bootstrap(resources)
    else:
        await wait_until_current(settings.db_url)
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(resources),
            log_config=None,
            access_log=False,
            http=BoundedConnection,
            lifespan="off",
            ws="websockets-sansio",
            ws_max_size=1024 * 1024,
            ws_per_message_deflate=False,
            server_header=False,
            date_header=True,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=5,
        )
    )
    async with _obs_auth(resources) if number == 0 else contextlib.nullcontext():
        # A collection need not walk over what is there now again and again.
        gc.collect()
        gc.freeze()
        gc.enable()
        log.info("serve.ready", pid=os.getpid())
        await server.serve(sockets=sockets)
    await database.close()


@contextlib.asynccontextmanager
async def _obs_auth(resources: Resources) -> AsyncIterator[None]:
    """Answers the S3 endpoint's question whose key a request was signed with."""

    async def look_up(access_key: str) -> ObsAccount | None:
        async with resources.database.reading() as tx:
            account = await lookup_access_key(tx, resources.token_keys, access_key)
        return ObsAccount(secret=account.secret, project_id=account.project_id) if account else None

    server = ObsAuthServer(resources.layout.obs_auth_socket, look_up)
    await server.start()
    try:
        yield
    finally:
        await server.stop()
