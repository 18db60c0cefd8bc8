"""Layers with rows and files, and what refers to them, for tests of the layers room."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from stillframe.blobs.layout import DataLayout
from stillframe.config import Settings
from stillframe.db import Database, Transaction
from stillframe.flavors.model import Flavor
from stillframe.identity.tokens import TokenKeys
from stillframe.images import disk_rows
from stillframe.images import rows as image_rows
from stillframe.images.disk_rows import ImageDisk
from stillframe.images.model import Image, ImageStatus
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_uuid
from stillframe.layers import files, rows, service
from stillframe.layers.model import Layer, LayerState
from stillframe.layers.rows import layers
from stillframe.qemu import img
from stillframe.servers import rows as server_rows
from stillframe.servers.model import Server, VmState
from stillframe.volumes import rows as volume_rows
from stillframe.volumes import snapshot_rows
from stillframe.volumes.model import Snapshot, SnapshotStatus, Volume, VolumeStatus
from tests.images.helpers import OURS

SIZE = 4 * 1024**2


def make_resources(database: Database, data_dir: Path) -> Resources:
    layout = DataLayout(data_dir)
    layout.create()
    url = database.engine.url.render_as_string(hide_password=False)
    return Resources(
        settings=Settings(data_dir=data_dir, database_url=url),
        layout=layout,
        database=database,
        token_keys=TokenKeys.open(layout),
    )


async def insert(tx: Transaction, state: LayerState = LayerState.SEALED, **fields: Any) -> str:
    """A row alone."""
    layer = Layer(
        id=new_uuid(),
        state=state,
        **{
            "disk_format": "qcow2",
            "parent_id": None,
            "superseded_by": None,
            "virtual_size_bytes": SIZE,
            "stored_bytes": None,
            "md5": None,
            "sha512": None,
            "job_id": None,
            "touched_at": utcnow(),
        }
        | fields,
    )
    await rows.insert_layer(tx, layer)
    return layer.id


async def base(resources: Resources, state: LayerState = LayerState.SEALED) -> str:
    """A layer that stands alone, with its file."""
    async with resources.database.writing() as tx:
        layer_id = await insert(tx, state)
    await img.create_blank(resources.layout.layer(layer_id, "qcow2"), SIZE)
    return layer_id


async def overlay(resources: Resources, parent_id: str, *, seal: bool = False) -> str:
    """A layer above another one, made the way servers make theirs."""
    layer_id = new_uuid()
    async with resources.database.writing() as tx:
        await service.plan_overlay(tx, layer_id, parent_id, SIZE)
    await files.create_disk(resources, layer_id)
    async with resources.database.writing() as tx:
        await service.activate(tx, layer_id)
        if seal:
            await service.seal(tx, layer_id)
    return layer_id


async def refer_by_image(tx: Transaction, layer_id: str) -> Image:
    now = utcnow()
    image = Image(
        id=new_uuid(),
        project_id=OURS,
        name="disk",
        status=ImageStatus.ACTIVE,
        disk_format="qcow2",
        container_format="bare",
        layer_id=layer_id,
        virtual_size_bytes=SIZE,
        created_at=now,
        updated_at=now,
    )
    await image_rows.insert_image(tx, image)
    return image


async def refer_by_volume(tx: Transaction, layer_id: str) -> Volume:
    now = utcnow()
    volume = Volume(
        id=new_uuid(),
        project_id=OURS,
        user_id="e" * 32,
        name="",
        description="",
        size_bytes=SIZE,
        status=VolumeStatus.AVAILABLE,
        volume_type="SSD",
        availability_zone="eu-de-01",
        bootable=True,
        layer_id=layer_id,
        image_metadata=None,
        attachment=None,
        created_at=now,
        updated_at=now,
    )
    await volume_rows.insert_volume(tx, volume)
    return volume


async def refer_by_image_disk(tx: Transaction, layer_id: str) -> None:
    image = await refer_by_image(tx, await insert(tx))
    disk = ImageDisk(
        image_id=image.id,
        device_index=1,
        layer_id=layer_id,
        size_bytes=SIZE,
        volume_type="SSD",
        name="",
        delete_on_termination=False,
    )
    await disk_rows.insert_disk(tx, disk)


async def refer_by_snapshot(tx: Transaction, layer_id: str) -> None:
    volume = await refer_by_volume(tx, await insert(tx))
    snapshot = Snapshot(
        id=new_uuid(),
        project_id=OURS,
        user_id=volume.user_id,
        volume_id=volume.id,
        name="",
        description="",
        size_bytes=SIZE,
        status=SnapshotStatus.AVAILABLE,
        layer_id=layer_id,
        created_at=volume.created_at,
        updated_at=volume.updated_at,
    )
    await snapshot_rows.insert_snapshot(tx, snapshot)


async def refer_by_server(tx: Transaction, layer_id: str) -> None:
    """The file in its CD drive."""
    now = utcnow()
    server = Server(
        id=new_uuid(),
        project_id=OURS,
        user_id="e" * 32,
        name="installer",
        flavor=Flavor(id="s3.tiny", vcpus=1, ram_mib=128, extra_specs={}),
        image_id="",
        cdrom_layer_id=layer_id,
        vm_state=VmState.STOPPED,
        task_state=None,
        job_id=None,
        created_at=now,
        updated_at=now,
    )
    await server_rows.insert_server(tx, server)


async def state_of(database: Database, layer_id: str) -> LayerState | None:
    async with database.reading() as tx:
        layer = await rows.get_layer(tx, layer_id)
    return layer.state if layer else None


async def forge(database: Database, layer_id: str, **values: Any) -> None:
    """Writes what no function of ours writes."""
    async with database.writing() as tx:
        await tx.execute(sa.update(layers).where(layers.c.id == layer_id).values(**values))


async def age(database: Database, layer_id: str, by: timedelta) -> None:
    await forge(database, layer_id, touched_at=utcnow() - by)


def files_of(resources: Resources) -> set[str]:
    return {path.stem for path in resources.layout.layers_dir.iterdir()}
