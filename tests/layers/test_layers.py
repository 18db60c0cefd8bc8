"""What layers can do, on rows and on real files."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from stillframe.db import Database, Transaction, metadata, open_database
from stillframe.errors import ConflictError, NotFoundError, UnavailableError
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Lane, NewJob, Service
from stillframe.jobs.resources import Resources
from stillframe.kit.ids import new_hex_id, new_uuid
from stillframe.layers import files, rows, service
from stillframe.layers.model import ABANDONED_AFTER, LayerState
from stillframe.qemu import img, qcow2
from stillframe.qemu.graph import json_filename
from tests.layers import disks
from tests.layers.disks import SIZE, base, files_of, insert, overlay, state_of
from tests.qemu.disks import qemu_img_info, tool, write_pattern


@pytest.fixture
def resources(database: Database, tmp_path: Path) -> Resources:
    return disks.make_resources(database, tmp_path / "data")


# --- rows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", LayerState)
async def test_a_layer_can_be_built_on_only_when_it_never_changes_again(database: Database, state: LayerState) -> None:
    async with database.writing() as tx:
        parent = await insert(tx, state)
        if state is LayerState.SEALED:
            await service.plan_overlay(tx, new_uuid(), parent, SIZE)
        else:
            with pytest.raises(ConflictError):
                await service.plan_overlay(tx, new_uuid(), parent, SIZE)


@pytest.mark.parametrize("state", LayerState)
async def test_a_capture_can_build_on_a_disk_that_it_seals_next(database: Database, state: LayerState) -> None:
    async with database.writing() as tx:
        parent = await insert(tx, state)
        if state in {LayerState.SEALED, LayerState.WRITABLE}:
            await service.plan_overlay(tx, new_uuid(), parent, SIZE, above_writable=True)
        else:
            with pytest.raises(ConflictError):
                await service.plan_overlay(tx, new_uuid(), parent, SIZE, above_writable=True)


async def test_nothing_can_be_built_on_a_layer_that_is_not_there(database: Database) -> None:
    async with database.writing() as tx:
        with pytest.raises(ConflictError):
            await service.plan_overlay(tx, new_uuid(), new_uuid(), SIZE)
        with pytest.raises(NotFoundError):
            await service.get_layer(tx, new_uuid())


async def test_planning_twice_plans_once_and_shows_that_the_maker_lives(database: Database) -> None:
    layer_id = new_uuid()
    async with database.writing() as tx:
        parent = await insert(tx)
        await service.plan_overlay(tx, layer_id, parent, SIZE)
        first = await service.get_layer(tx, layer_id)
    await disks.age(database, layer_id, timedelta(hours=1))
    async with database.writing() as tx:
        await service.plan_overlay(tx, layer_id, parent, SIZE)
        again = await service.get_layer(tx, layer_id)
    assert again.touched_at >= first.touched_at
    assert (again.state, again.parent_id) == (LayerState.CREATING, parent)


async def test_what_is_being_removed_cannot_be_planned_again(database: Database) -> None:
    async with database.writing() as tx:
        layer_id = await insert(tx, LayerState.DOOMED)
        with pytest.raises(ConflictError):
            await service.plan_blob(tx, layer_id, "qcow2")


LEGAL = {
    LayerState.CREATING: {"activate", "seal"},
    LayerState.WRITABLE: {"activate", "seal"},
    LayerState.SEALED: {"seal"},
    LayerState.DOOMED: set(),
}


@pytest.mark.parametrize("state", LayerState)
@pytest.mark.parametrize("verb", ["activate", "seal"])
async def test_a_layer_goes_one_way_only_and_who_comes_too_late_is_told(
    database: Database, state: LayerState, verb: str
) -> None:
    """Else an image would be given a disk that the sweeper is about to remove."""
    change = {"activate": service.activate, "seal": service.seal}[verb]
    after = {"activate": LayerState.WRITABLE, "seal": LayerState.SEALED}[verb]
    async with database.writing() as tx:
        layer_id = await insert(tx, state)
        if verb in LEGAL[state]:
            await change(tx, layer_id)
        else:
            with pytest.raises(ConflictError):
                await change(tx, layer_id)
        with pytest.raises(ConflictError):
            await change(tx, new_uuid())
    assert await state_of(database, layer_id) is (after if verb in LEGAL[state] else state)


async def test_sealing_notes_what_is_given_and_keeps_the_rest(database: Database) -> None:
    async with database.writing() as tx:
        layer_id = await insert(tx, LayerState.CREATING, virtual_size_bytes=7)
        await service.seal(tx, layer_id, stored_bytes=5, md5="m")
        await service.seal(tx, layer_id, sha512="s")
        layer = await service.get_layer(tx, layer_id)
    assert (layer.virtual_size_bytes, layer.stored_bytes, layer.md5, layer.sha512) == (7, 5, "m", "s")


async def by_image(tx: Transaction, layer_id: str) -> None:
    await disks.refer_by_image(tx, layer_id)


async def by_volume(tx: Transaction, layer_id: str) -> None:
    await disks.refer_by_volume(tx, layer_id)


async def by_child(tx: Transaction, layer_id: str) -> None:
    await insert(tx, parent_id=layer_id)


async def by_superseded(tx: Transaction, layer_id: str) -> None:
    await insert(tx, superseded_by=layer_id)


REFERENCES: dict[str, Callable[[Transaction, str], Awaitable[None]]] = {
    "images.layer_id": by_image,
    "image_disks.layer_id": disks.refer_by_image_disk,
    "snapshots.layer_id": disks.refer_by_snapshot,
    "servers.cdrom_layer_id": disks.refer_by_server,
    "volumes.layer_id": by_volume,
    "layers.parent_id": by_child,
    "layers.superseded_by": by_superseded,
}


def test_every_reference_to_a_layer_is_known_to_these_tests() -> None:
    keys = {
        f"{table.name}.{key.parent.name}"
        for table in metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table.name == "layers"
    }
    assert keys == set(REFERENCES)


@pytest.mark.parametrize("reference", REFERENCES)
async def test_a_layer_that_anything_refers_to_is_kept(database: Database, reference: str) -> None:
    async with database.writing() as tx:
        layer_id, lonely = await insert(tx), await insert(tx)
        await REFERENCES[reference](tx, layer_id)
        await service.release(tx, layer_id)
        await service.release(tx, lonely)
        await service.release(tx, lonely)
        await service.release(tx, None)
        await service.release(tx, new_uuid())
    assert await state_of(database, layer_id) is LayerState.SEALED
    assert await state_of(database, lonely) is LayerState.DOOMED


@pytest.fixture
async def other_process(database: Database) -> AsyncIterator[Database]:
    """The same database with connections of its own, as a second process has it."""
    other = open_database(database.engine.url.render_as_string(hide_password=False))
    yield other
    await other.close()


async def test_of_a_builder_and_a_remover_at_once_one_wins(database: Database, other_process: Database) -> None:
    """Never both: then a disk would stand on a layer whose bytes go."""
    outcomes = set()
    for _ in range(25):
        async with database.writing() as tx:
            parent = await insert(tx)
        child = new_uuid()

        async def build(parent: str = parent, child: str = child) -> bool:
            try:
                async with database.writing() as tx:
                    await service.plan_overlay(tx, child, parent, SIZE)
                    await asyncio.sleep(0.002)
            except ConflictError:
                return False
            return True

        async def remove(parent: str = parent) -> None:
            async with other_process.writing() as tx:
                await service.release(tx, parent)
                await asyncio.sleep(0.002)

        first, second = (build(), remove()) if _ % 2 else (remove(), build())
        built = True in await asyncio.gather(first, second)
        state = await state_of(database, parent)
        assert state is (LayerState.SEALED if built else LayerState.DOOMED)
        outcomes.add(built)
    assert outcomes == {True, False}


async def test_of_two_removers_of_the_last_two_references_one_dooms(
    database: Database, other_process: Database
) -> None:
    """Each sees the other's reference or waits for it: the layer never outlives both."""
    for _ in range(25):
        async with database.writing() as tx:
            layer_id = await insert(tx)
            children = [await insert(tx, parent_id=layer_id) for _ in range(2)]

        async def remove(own: Database, child: str, layer_id: str = layer_id) -> None:
            async with own.writing() as tx:
                await rows.delete_layer(tx, child)
                await asyncio.sleep(0.002)
                await service.release(tx, layer_id)

        await asyncio.gather(remove(database, children[0]), remove(other_process, children[1]))
        assert await state_of(database, layer_id) is LayerState.DOOMED


# --- files -----------------------------------------------------------------------------------------------------------


async def test_an_overlay_is_a_sound_qcow2_file_that_names_its_parent(resources: Resources) -> None:
    parent = await base(resources)
    child = await overlay(resources, parent)
    path = resources.layout.layer(child, "qcow2")
    info = qemu_img_info(path, "qcow2")
    assert info["backing-filename"] == f"{parent}.qcow2"
    assert info["virtual-size"] == SIZE
    tool("qemu-img", "check", "-q", "-f", "qcow2", str(path))
    async with resources.database.reading() as tx:
        chain = await service.chain(tx, resources.layout, child)
        with pytest.raises(NotFoundError):
            await service.chain(tx, resources.layout, new_uuid())
    assert [link.path.stem for link in chain] == [child, parent]


async def test_making_an_overlay_again_starts_anew_until_it_is_somebody_s_disk(resources: Resources) -> None:
    parent = await base(resources)
    child = new_uuid()
    async with resources.database.writing() as tx:
        await service.plan_overlay(tx, child, parent, SIZE)
    path = resources.layout.layer(child, "qcow2")
    path.write_bytes(b"half a file")
    await files.create_disk(resources, child)
    assert qemu_img_info(path, "qcow2")["virtual-size"] == SIZE
    async with resources.database.writing() as tx:
        await service.activate(tx, child)
    write_pattern(path, 5, "0", "1M")
    written = path.read_bytes()
    await files.create_disk(resources, child)
    assert path.read_bytes() == written


async def test_a_disk_that_cannot_be_written_is_something_that_may_heal(resources: Resources) -> None:
    parent = await base(resources)
    child = new_uuid()
    async with resources.database.writing() as tx:
        await service.plan_overlay(tx, child, parent, SIZE)
    resources.layout.layers_dir.rename(resources.layout.root / "elsewhere")
    with pytest.raises(UnavailableError):
        await files.create_disk(resources, child)


async def test_the_sweeper_takes_a_doomed_chain_down_to_the_first_layer_in_use(resources: Resources) -> None:
    root = await base(resources)
    middle = await overlay(resources, root, seal=True)
    top = await overlay(resources, middle)
    kept = await overlay(resources, root)
    async with resources.database.writing() as tx:
        await disks.refer_by_volume(tx, kept)
        await service.release(tx, top)
    await files.sweep(resources)
    assert files_of(resources) == {root, kept}
    assert await state_of(resources.database, middle) is None


async def test_a_sweep_after_a_kill_between_file_and_row_goes_on(resources: Resources) -> None:
    layer_id = await base(resources)
    async with resources.database.writing() as tx:
        await service.release(tx, layer_id)
    resources.layout.layer(layer_id, "qcow2").unlink()
    await files.sweep(resources)
    assert await state_of(resources.database, layer_id) is None


async def test_a_layer_that_cannot_be_removed_holds_up_no_other(resources: Resources) -> None:
    stuck, other = await base(resources), await base(resources)
    path = resources.layout.layer(stuck, "qcow2")
    path.unlink()
    path.mkdir()
    async with resources.database.writing() as tx:
        await service.release(tx, stuck)
        await service.release(tx, other)
    await files.sweep(resources)
    assert files_of(resources) == {stuck}
    path.rmdir()
    await files.sweep(resources)
    assert await state_of(resources.database, stuck) is None


async def test_a_doomed_layer_that_is_in_use_by_mistake_keeps_its_bytes(resources: Resources) -> None:
    layer_id, other = await base(resources), await base(resources)
    async with resources.database.writing() as tx:
        await disks.refer_by_image(tx, layer_id)
        await service.release(tx, other)
    await disks.forge(resources.database, layer_id, state=LayerState.DOOMED)
    await files.sweep(resources)
    assert files_of(resources) == {layer_id}


@pytest.mark.parametrize("maker", ["silent", "alive", "job lives", "job has ended", "job is forgotten", "referred to"])
async def test_a_layer_in_the_making_goes_with_its_maker(resources: Resources, maker: str) -> None:
    layer_id = new_uuid()
    job_id = new_hex_id() if maker.startswith("job") else None
    async with resources.database.writing() as tx:
        if maker in {"job lives", "job has ended"}:
            await jobs.submit_job(
                tx, NewJob(id=job_id, kind="make", service=Service.INTERNAL, lane=Lane.SEAL, subject_id=None)
            )
        await service.plan_blob(tx, layer_id, "qcow2", job_id=job_id)
        if maker == "job has ended":
            await jobs.succeed_job(tx, job_id or "", {})
        if maker == "referred to":
            await disks.refer_by_volume(tx, layer_id)
    resources.layout.layer(layer_id, "qcow2").touch()
    await disks.age(resources.database, layer_id, ABANDONED_AFTER + timedelta(seconds=1))
    if maker == "alive":
        async with resources.database.writing() as tx:
            await service.touch(tx, layer_id)
    await files.sweep(resources)
    kept = maker in {"alive", "job lives", "referred to"}
    assert files_of(resources) == ({layer_id} if kept else set())


async def test_a_maker_that_shows_up_again_at_the_last_moment_keeps_its_layer(database: Database) -> None:
    async with database.writing() as tx:
        layer_id = await insert(tx, LayerState.CREATING)
        await service.release_abandoned(tx, layer_id)
    assert await state_of(database, layer_id) is LayerState.CREATING


# --- moving onto a flattened parent ----------------------------------------------------------------------------------


async def superseded(resources: Resources) -> tuple[str, str, str]:
    """A sealed layer with content, its flattened equal, and a volume's disk above it."""
    old = await base(resources, LayerState.WRITABLE)
    write_pattern(resources.layout.layer(old, "qcow2"), 7, "0", "2M")
    async with resources.database.writing() as tx:
        await service.seal(tx, old)
    disk = await overlay(resources, old)
    write_pattern(resources.layout.layer(disk, "qcow2"), 9, "1M", "2M")
    flat = new_uuid()
    async with resources.database.writing() as tx:
        await disks.refer_by_volume(tx, disk)
        await service.plan_blob(tx, flat, "qcow2", virtual_size_bytes=SIZE)
        chain = await service.chain(tx, resources.layout, old)
    await img.consolidate(chain, resources.layout.layer(flat, "qcow2"))
    async with resources.database.writing() as tx:
        await service.seal(tx, flat)
        await disks.refer_by_image(tx, flat)
        await service.supersede(tx, old, flat)
        await service.release(tx, old)
    return old, flat, disk


def read_pattern(chain: str, pattern: int, offset: str, length: str) -> None:
    answer = tool("qemu-io", "-r", "-c", f"read -P {pattern} {offset} {length}", chain)
    assert "failed" not in answer
    assert "read " in answer


@contextmanager
def machine_running(chain: str) -> Iterator[None]:
    """A process that has the disk open for writing, with the locks of a machine."""
    process = subprocess.Popen(["qemu-io", chain], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write("length\n")
        process.stdin.flush()
        process.stdout.readline()
        yield
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()


async def test_a_disk_moves_onto_the_flattened_layer_and_shows_the_same(resources: Resources) -> None:
    old, flat, disk = await superseded(resources)
    assert files_of(resources) == {old, flat, disk}
    await files.sweep(resources)
    assert files_of(resources) == {flat, disk}
    path = resources.layout.layer(disk, "qcow2")
    assert qemu_img_info(path, "qcow2")["backing-filename"] == f"{flat}.qcow2"
    async with resources.database.reading() as tx:
        chain = await service.chain(tx, resources.layout, disk)
    assert [link.path.stem for link in chain] == [disk, flat]
    for pattern, offset, length in ((7, "0", "1M"), (9, "1M", "2M"), (0, "3M", "1M")):
        read_pattern(json_filename(chain), pattern, offset, length)


async def test_a_disk_in_use_stays_where_it_is_until_it_is_free(resources: Resources) -> None:
    old, flat, disk = await superseded(resources)
    async with resources.database.reading() as tx:
        chain = await service.chain(tx, resources.layout, disk)
    with machine_running(json_filename(chain).replace('"read-only":true', '"read-only":false', 2)):
        await files.sweep(resources)
        assert files_of(resources) == {old, flat, disk}
    await files.sweep(resources)
    assert files_of(resources) == {flat, disk}


async def test_what_is_about_to_be_read_is_not_removed_until_it_was_read(resources: Resources) -> None:
    """A tool opens the files by their names, a while after it was told them."""
    old, flat, disk = await superseded(resources)
    async with files.reading(resources, disk) as chain:
        assert [link.path.stem for link in chain] == [disk, old]
        await files.sweep(resources)
        assert files_of(resources) == {old, flat, disk}
        read_pattern(json_filename(chain), 7, "0", "1M")
        async with files.reading(resources, disk) as now:
            assert [link.path.stem for link in now] == [disk, flat]
    await files.sweep(resources)
    assert files_of(resources) == {flat, disk}


async def test_a_disk_moves_while_tools_come_and_go(resources: Resources) -> None:
    """None of them is refused a lock, none misses a file: each reads all of its chain, old or new."""
    _, flat, disk = await superseded(resources)

    async def copy(number: int) -> None:
        async with files.reading(resources, disk) as chain:
            await img.consolidate(chain, resources.layout.root / f"copy-{number}")

    async def sweep_on() -> None:
        while True:
            await files.sweep(resources)
            await asyncio.sleep(0)  # with nothing to do, it waits for nothing

    sweeping = asyncio.create_task(sweep_on())
    try:
        for number in range(12):
            await copy(number)
    finally:
        sweeping.cancel()
    await files.sweep(resources)
    assert files_of(resources) == {flat, disk}


async def test_a_move_that_a_kill_left_half_done_is_done_again(resources: Resources) -> None:
    """The header names the new parent, the row still the old one; the row is what counts."""
    old, flat, disk = await superseded(resources)
    async with resources.database.reading() as tx:
        path, name = [service.link(resources.layout, await service.get_layer(tx, one)).path for one in (disk, flat)]
    qcow2.rename_backing(path, name.name)
    assert old in files_of(resources)
    await files.sweep(resources)
    assert files_of(resources) == {flat, disk}


async def test_a_disk_whose_file_is_gone_holds_up_no_other(resources: Resources) -> None:
    old, flat, disk = await superseded(resources)
    second_old, second_flat, second_disk = await superseded(resources)
    resources.layout.layer(disk, "qcow2").unlink()
    await files.sweep(resources)
    assert files_of(resources) == {old, flat, second_flat, second_disk}
    assert await state_of(resources.database, second_old) is None
