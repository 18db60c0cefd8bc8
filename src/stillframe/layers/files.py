"""The files of layers: making overlays, moving them onto a flattened parent, and removing what nobody needs.

The worker alone removes files, so what it is about to read it protects within its own process: see `reading`. A machine
needs no such thing, since it is started anew if a file has gone just then.
"""

import asyncio
import fcntl
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import sqlalchemy as sa
import structlog

from stillframe.blobs.layout import DataLayout, DiskFormat
from stillframe.errors import ConflictError, StillframeError, UnavailableError
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.layers import rows, service
from stillframe.layers.model import ABANDONED_AFTER, Layer, LayerState
from stillframe.qemu import img, qcow2
from stillframe.qemu.model import Chain

log = structlog.get_logger("stillframe.layers")

_FLOCK = "hhqqi4x"
"""struct flock of 64-bit Linux: type, whence, start, length, pid."""
_QEMU_LOCKS = (100, 200)
"""First byte and number of bytes on which QEMU locks its image files."""


async def create_disk(resources: Resources, layer_id: str) -> None:
    """Makes the file of a planned layer, empty, above its parent's or alone; durably.

    Safe to repeat while the layer is `creating`: it starts anew.

    Raises: UnavailableError when the host's disk is full.
    """
    async with resources.database.reading() as tx:
        layer, *below = await rows.get_chain(tx, layer_id)
    if layer.state is not LayerState.CREATING:
        return
    path = layer_path(resources.layout, layer)
    backing = tuple(service.link(resources.layout, one) for one in below)
    try:
        await asyncio.to_thread(path.unlink, missing_ok=True)
        if backing:
            await img.create_overlay(path, backing, layer.virtual_size_bytes)
        else:
            await img.create_blank(path, layer.virtual_size_bytes)
    except OSError as error:
        raise UnavailableError("The disk of the image service cannot be written.", cause=error) from error


@asynccontextmanager
async def reading(resources: Resources, layer_id: str) -> AsyncIterator[Chain]:
    """The files of a disk, top first. They stay where they are while the block lasts, even if the disk moves onto a
    flattened layer meanwhile.

    Raises: NotFoundError.
    """
    chain = await _chain(resources, layer_id)
    while True:
        with resources.layers_being_read.held([link.path.stem for link in chain]):
            now = await _chain(resources, layer_id)
            if now == chain:  # and not one that was replaced before it was protected
                yield chain
                return
            chain = now


async def _chain(resources: Resources, layer_id: str) -> Chain:
    async with resources.database.reading() as tx:
        return await service.chain(tx, resources.layout, layer_id)


async def grow(resources: Resources, layer_id: str, size_bytes: int) -> None:
    """Makes a writable disk's file show more. Safe to repeat.

    Raises: ToolFailedError where a machine uses the disk.
    """
    async with resources.database.reading() as tx:
        layer = await service.get_layer(tx, layer_id)
    if layer.virtual_size_bytes < size_bytes:
        await img.grow(service.link(resources.layout, layer), size_bytes)


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
            await service.release_abandoned(tx, layer.id)


async def _move_children(resources: Resources) -> None:
    async with resources.database.reading() as tx:
        to_move = [
            (child, await service.get_layer(tx, target)) for child, target in await rows.list_children_to_move(tx)
        ]
    for child, target in to_move:
        try:
            moved = await asyncio.to_thread(_move, resources.layout, child, target)
        except (OSError, ValueError) as error:
            log.warning("layers.not_moved", layer=child.id, error=str(error))
            continue
        if moved:
            async with resources.database.writing() as tx:
                await rows.set_parent(tx, child.id, old_parent_id=child.parent_id or "", new_parent_id=target.id)
                await service.release(tx, child.parent_id)


def _move(layout: DataLayout, child: Layer, target: Layer) -> bool:
    """False while a machine or a tool has the disk open; a sweep after that gets through.

    Only the name in the header changes, and nobody who opens the file by our graph looks at that. So this takes no lock
    in which a machine or a tool that starts just now would be caught.
    """
    path = layer_path(layout, child)
    if _is_open(path):
        return False
    qcow2.rename_backing(path, layer_path(layout, target).name)
    return True


def _is_open(path: Path) -> bool:
    """Whether a machine or a tool has the disk open, by the locks that QEMU keeps on bytes of its files.

    Asking the kernel is for nothing, while letting qemu-img run into the lock costs a process each time, for as long as
    the machine runs. Source: qemu/qemu block/file-posix.c, RAW_LOCK_PERM_BASE.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, *_QEMU_LOCKS, 0)
        answer = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, question))
    finally:
        os.close(descriptor)
    return bool(answer[0] != fcntl.F_UNLCK)


async def _remove_doomed(resources: Resources) -> None:
    """One that cannot be removed holds up no other; a parent falls to the next round."""
    stuck: set[str] = set()
    while doomed := await _list_doomed(resources, stuck):
        for layer in doomed:
            try:
                removed = await _remove(resources, layer)
            except (OSError, StillframeError, sa.exc.IntegrityError) as error:
                log.exception("layers.not_removed", layer=layer.id, error=str(error))
                removed = False
            if not removed:
                stuck.add(layer.id)


async def _list_doomed(resources: Resources, stuck: set[str]) -> list[Layer]:
    async with resources.database.reading() as tx:
        return await rows.list_doomed(tx, but=stuck)


async def _remove(resources: Resources, layer: Layer) -> bool:
    """False while it is being read. The file goes before its row, so that no file is ever without one."""
    if resources.layers_being_read.is_held(layer.id):
        return False
    async with resources.database.reading() as tx:
        if await rows.is_referenced(tx, layer.id):
            raise ConflictError("A layer that is doomed is referred to: a mistake of ours, and no reason to lose data.")
    path = layer_path(resources.layout, layer)
    await asyncio.to_thread(path.unlink, missing_ok=True)
    async with resources.database.writing() as tx:
        await rows.delete_layer(tx, layer.id)
        await service.release(tx, layer.parent_id)
        await service.release(tx, layer.superseded_by)
    log.info("layers.removed", layer=layer.id)
    return True
