"""What the other rooms can do with layers. Rows only; the files' part is in files.py."""

from stillframe.blobs.layout import DataLayout, DiskFormat
from stillframe.db import Transaction
from stillframe.errors import ConflictError, NotFoundError
from stillframe.jobs import service as jobs
from stillframe.kit.clock import utcnow
from stillframe.layers import rows
from stillframe.layers.model import ABANDONED_AFTER, Layer, LayerState
from stillframe.qemu.model import Chain, ChainLink, DiskDriver


async def get_layer(tx: Transaction, layer_id: str) -> Layer:
    layer = await rows.get_layer(tx, layer_id)
    if layer is None:
        raise NotFoundError(f"No layer with id {layer_id} was found.")
    return layer


async def plan_overlay(
    tx: Transaction,
    layer_id: str,
    parent_id: str,
    virtual_size_bytes: int,
    *,
    job_id: str | None = None,
    above_writable: bool = False,
) -> None:
    """Notes a new empty layer above `parent_id`, before its file is made. Safe to repeat with the same id.

    `above_writable` is for a capture, which seals the parent before anybody writes to the new layer.

    Raises: ConflictError when the parent is not sealed (or doomed, which a caller sees as gone).
    """
    parent = await rows.get_layer(tx, parent_id, lock=True)
    fit = (LayerState.SEALED, LayerState.WRITABLE) if above_writable else (LayerState.SEALED,)
    if parent is None or parent.state not in fit:
        raise ConflictError("The disk to build on is not available.", cause=f"layer {parent_id}")
    await _plan(tx, layer_id, DiskFormat.QCOW2, parent_id, virtual_size_bytes, job_id)


async def plan_blob(
    tx: Transaction, layer_id: str, disk_format: str, *, virtual_size_bytes: int = 0, job_id: str | None = None
) -> None:
    """Notes a new layer that stands alone, before its file is written. Safe to repeat with the same id.

    Raises: ConflictError when a layer of that id is being removed.
    """
    await _plan(tx, layer_id, disk_format, None, virtual_size_bytes, job_id)


async def _plan(
    tx: Transaction, layer_id: str, disk_format: str, parent_id: str | None, size_bytes: int, job_id: str | None
) -> None:
    planned = await rows.get_layer(tx, layer_id, lock=True)
    if planned is not None:
        if planned.state is LayerState.DOOMED:
            raise _gone(layer_id)
        await touch(tx, layer_id)
        return
    await rows.insert_layer(
        tx,
        Layer(
            id=layer_id,
            disk_format=disk_format,
            state=LayerState.CREATING,
            parent_id=parent_id,
            superseded_by=None,
            virtual_size_bytes=size_bytes,
            stored_bytes=None,
            md5=None,
            sha512=None,
            job_id=job_id,
            touched_at=utcnow(),
        ),
    )


def _gone(layer_id: str) -> ConflictError:
    return ConflictError("The disk is not available any more.", cause=f"layer {layer_id}")


async def touch(tx: Transaction, layer_id: str) -> None:
    """Says that the maker of a layer is alive; needed at least every few minutes while it writes outside of a job."""
    await rows.update_layer(tx, layer_id, LayerState.CREATING, touched_at=utcnow())


async def activate(tx: Transaction, layer_id: str) -> None:
    """The file is complete; from now on it is somebody's writable disk. Safe to repeat.

    Raises: ConflictError when the layer is not there any more, or sealed.
    """
    fit = (LayerState.CREATING, LayerState.WRITABLE)
    if not await rows.update_layer(tx, layer_id, *fit, state=LayerState.WRITABLE, touched_at=utcnow()):
        raise _gone(layer_id)


async def seal(
    tx: Transaction,
    layer_id: str,
    *,
    stored_bytes: int | None = None,
    virtual_size_bytes: int | None = None,
    md5: str | None = None,
    sha512: str | None = None,
) -> None:
    """From now on the layer never changes. Safe to repeat; what is given is noted, what is None stays.

    Raises: ConflictError when the layer is not there any more: whoever was about to refer to it must not.
    """
    given = {
        "stored_bytes": stored_bytes,
        "virtual_size_bytes": virtual_size_bytes,
        "md5": md5,
        "sha512": sha512,
    }
    noted = {name: value for name, value in given.items() if value is not None}
    fit = (LayerState.CREATING, LayerState.WRITABLE, LayerState.SEALED)
    if not await rows.update_layer(tx, layer_id, *fit, state=LayerState.SEALED, touched_at=utcnow(), **noted):
        raise _gone(layer_id)


async def grow(tx: Transaction, layer_id: str, virtual_size_bytes: int) -> None:
    """Notes that a writable disk is larger now. Safe to repeat. Raises: ConflictError for any other layer."""
    fit = (LayerState.WRITABLE,)
    if not await rows.update_layer(tx, layer_id, *fit, virtual_size_bytes=virtual_size_bytes):
        raise _gone(layer_id)


async def lock_sealed(tx: Transaction, layer_id: str) -> bool:
    """Whether the layer is there to be referred to; if so it stays until the transaction ends."""
    layer = await rows.get_layer(tx, layer_id, lock=True)
    return layer is not None and layer.state is LayerState.SEALED


async def supersede(tx: Transaction, layer_id: str, by_layer_id: str) -> None:
    """Says that `by_layer_id` holds the same content alone; what lies above moves over when it is not in use."""
    await rows.update_layer(tx, layer_id, LayerState.SEALED, superseded_by=by_layer_id)


async def release_abandoned(tx: Transaction, layer_id: str) -> None:
    """Dooms a layer in the making whose maker is gone: its job has ended, or it has been silent for minutes."""
    layer = await rows.get_layer(tx, layer_id, lock=True)
    if layer is None or layer.state is not LayerState.CREATING or layer.touched_at > utcnow() - ABANDONED_AFTER:
        return
    if layer.job_id is None or not await jobs.is_live(tx, layer.job_id):
        await release(tx, layer.id)


async def release(tx: Transaction, layer_id: str | None) -> None:
    """Dooms the layer if nobody refers to it any more. Call it after the reference is gone; repeating is harmless."""
    if layer_id is None:
        return
    layer = await rows.get_layer(tx, layer_id, lock=True)
    if layer is None or layer.state is LayerState.DOOMED or await rows.is_referenced(tx, layer_id):
        return
    await rows.update_layer(tx, layer_id, layer.state, state=LayerState.DOOMED, touched_at=utcnow())
    tx.wake_worker_on_commit()


async def chain(tx: Transaction, layout: DataLayout, layer_id: str) -> Chain:
    """The files of a disk, top first, for QEMU.

    Raises: NotFoundError.
    """
    found = await rows.get_chain(tx, layer_id)
    if not found:
        raise NotFoundError(f"No layer with id {layer_id} was found.")
    return tuple(link(layout, layer) for layer in found)


def link(layout: DataLayout, layer: Layer) -> ChainLink:
    disk_format = DiskFormat(layer.disk_format)
    driver: DiskDriver = "qcow2" if disk_format is DiskFormat.QCOW2 else "raw"
    return ChainLink(path=layout.layer(layer.id, disk_format), format=driver)
