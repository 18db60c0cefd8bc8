"""The files of layers: making overlays, moving them onto a flattened parent, and removing what nobody needs."""

import asyncio
import os
from pathlib import Path

import structlog

from stillframe.blobs.layout import DataLayout, DiskFormat
from stillframe.errors import ToolFailedError
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.layers import rows, service
from stillframe.layers.model import ABANDONED_AFTER, Layer, LayerState
from stillframe.qemu import img

log = structlog.get_logger("stillframe.layers")


async def create_overlay(resources: Resources, layer_id: str) -> None:
    """Makes the file of a planned overlay, durably. Safe to repeat while the layer is `creating`: it starts anew."""
    async with resources.database.reading() as tx:
        layer, *below = await rows.get_chain(tx, layer_id)
    if layer.state is not LayerState.CREATING:
        return
    path = layer_path(resources.layout, layer)
    path.unlink(missing_ok=True)
    backing = tuple(service.link(resources.layout, one) for one in below)
    await img.create_overlay(path, backing, layer.virtual_size_bytes)


async def sync(path: Path) -> None:
    """Makes a new file's bytes and its name survive a power cut."""
    await asyncio.to_thread(_sync_file, path)


async def allocated_bytes(resources: Resources, layer_id: str) -> int:
    """What the layer's file takes up on the disk."""
    async with resources.database.reading() as tx:
        path = layer_path(resources.layout, await service.get_layer(tx, layer_id))
    found = await asyncio.to_thread(path.stat)
    return found.st_blocks * 512


def layer_path(layout: DataLayout, layer: Layer) -> Path:
    return layout.layer(layer.id, DiskFormat(layer.disk_format))


def _sync_file(path: Path) -> None:
    for target in (path, path.parent):
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


async def sweep(resources: Resources) -> None:
    """Moves layers off superseded parents where their disk is not in use, and removes what is doomed or abandoned."""
    await _doom_abandoned(resources)
    await _move_children(resources)
    await _remove_doomed(resources)


async def _doom_abandoned(resources: Resources) -> None:
    async with resources.database.reading() as tx:
        abandoned = await rows.list_abandoned(tx, utcnow() - ABANDONED_AFTER)
    for layer in abandoned:
        async with resources.database.writing() as tx:
            await service.release(tx, layer.id)


async def _move_children(resources: Resources) -> None:
    async with resources.database.reading() as tx:
        to_move = await rows.list_children_to_move(tx)
    for child, target_id in to_move:
        async with resources.database.reading() as tx:
            target = await service.get_layer(tx, target_id)
        try:
            await img.rebase_metadata(service.link(resources.layout, child), service.link(resources.layout, target))
        except ToolFailedError as error:
            # QEMU holds a lock on the file while its machine runs; the next sweep after it has stopped gets through.
            log.debug("layers.move_postponed", layer=child.id, cause=str(error.cause))
            continue
        async with resources.database.writing() as tx:
            await rows.set_parent(tx, child.id, old_parent_id=child.parent_id or "", new_parent_id=target_id)
            await service.release(tx, child.parent_id)


async def _remove_doomed(resources: Resources) -> None:
    while True:
        async with resources.database.reading() as tx:
            doomed = await rows.list_doomed(tx)
        if not doomed:
            return
        for layer in doomed:
            path = layer_path(resources.layout, layer)
            await asyncio.to_thread(path.unlink, missing_ok=True)
            async with resources.database.writing() as tx:
                await rows.delete_layer(tx, layer.id)
                await service.release(tx, layer.parent_id)
                await service.release(tx, layer.superseded_by)
            log.info("layers.removed", layer=layer.id)
