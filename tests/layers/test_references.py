"""No sequence of captures, boots, deletions, consolidations and sweeps loses a byte in use or keeps one that is not.

Hypothesis makes the sequences; the steps are those of the real recipes, the files are real, and what a disk shows is
read back through qemu-io.
"""

import asyncio
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stillframe.db import Database, open_database
from stillframe.errors import JobCancelledError, StillframeError
from stillframe.images import capture, consolidation
from stillframe.images import rows as image_rows
from stillframe.images import service as images
from stillframe.images.model import Image, ImageStatus
from stillframe.jobs import rows as job_rows
from stillframe.jobs import service as jobs
from stillframe.jobs.model import FINAL, Job, JobState, Lane, NewJob, Service
from stillframe.jobs.recipes import Recipe
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_hex_id, new_uuid
from stillframe.layers import files
from stillframe.layers import rows as layer_rows
from stillframe.layers import service as layers
from stillframe.layers.model import LayerState
from stillframe.qemu.graph import json_filename
from stillframe.qemu.model import Chain
from stillframe.servers.sealing import sealing_args
from stillframe.volumes import rows as volume_rows
from stillframe.volumes import service as volumes
from tests.images.helpers import OURS, caller
from tests.layers import disks
from tests.layers.disks import SIZE
from tests.qemu.disks import tool

BLOCKS = 4
BLOCK = SIZE // BLOCKS
Content = tuple[int, ...]
"""The pattern in each block of a disk."""


class Disks(RuleBasedStateMachine):
    """The model is what every image and every volume must show; the rest is looked up."""

    images: Bundle[str] = Bundle("images")
    volumes: Bundle[str] = Bundle("volumes")

    def __init__(self, runner: asyncio.Runner, database: Database) -> None:
        super().__init__()
        self.runner = runner
        self.database = database
        self.data_dir = Path(tempfile.mkdtemp(prefix="sf-layers-"))
        self.resources = disks.make_resources(database, self.data_dir)
        self.shows: dict[str, Content] = {}
        self.machines: dict[str, subprocess.Popen[str]] = {}
        self.patterns = itertools.cycle(range(1, 250))

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    # --- what callers do ---------------------------------------------------------------------------------------------

    @initialize(target=images)
    def first_image(self) -> str:
        layer_id = self.do(disks.base(self.resources))
        return self.new_image(layer_id, (0,) * BLOCKS)

    @initialize(target=volumes)
    def first_volume(self) -> str:
        layer_id = self.do(disks.base(self.resources))
        volume_id: str = self.do(self.boot_from(self.new_image(layer_id, (0,) * BLOCKS)))
        self.write(volume_id, 0)
        return volume_id

    def new_image(self, layer_id: str, content: Content) -> str:
        async def insert() -> str:
            async with self.database.writing() as tx:
                return (await disks.refer_by_image(tx, layer_id)).id

        image_id: str = self.do(insert())
        self.shows[image_id] = content
        return image_id

    @rule(target=volumes, image_id=images)
    def boot(self, image_id: str) -> str:
        volume_id: str = self.do(self.boot_from(image_id))
        return volume_id

    async def boot_from(self, image_id: str) -> str:
        """As the request and the job of a new server do: the volume refers to its layer before there is a file."""
        layer_id, job_id = new_uuid(), new_hex_id()
        async with self.database.writing() as tx:
            image = await images.get_bootable_image(tx, caller(), image_id)
            assert image.layer_id is not None
            await layers.plan_overlay(tx, layer_id, image.layer_id, SIZE, job_id=job_id)
            volume = await disks.refer_by_volume(tx, layer_id)
        await files.sweep(self.resources)
        await files.create_disk(self.resources, layer_id)
        async with self.database.writing() as tx:
            await layers.activate(tx, layer_id)
        self.shows[volume.id] = self.shows[image_id]
        return volume.id

    @rule(volume_id=volumes, block=st.integers(0, BLOCKS - 1))
    def write(self, volume_id: str, block: int) -> None:
        if volume_id in self.machines:
            return
        pattern = next(self.patterns)
        argv = ["qemu-io", "-c", f"write -P {pattern} {block * BLOCK} {BLOCK}", writable(self.chain_of(volume_id))]
        assert "wrote" in tool(*argv)
        content = self.shows[volume_id]
        self.shows[volume_id] = (*content[:block], pattern, *content[block + 1 :])

    @rule(volume_id=volumes)
    def power_on_or_off(self, volume_id: str) -> None:
        if machine := self.machines.pop(volume_id, None):
            end(machine)
        else:
            self.machines[volume_id] = start_machine(self.chain_of(volume_id))

    @rule(target=images, volume_id=volumes, how=st.sampled_from(["well", "well", "well", "repeated", "cancelled"]))
    def capture(self, volume_id: str, how: str) -> Any:
        if volume_id in self.machines:
            return multiple()
        job = self.do(self.submit_capture(volume_id))
        make_overlay, seal = capture.RECIPE.steps
        self.do(make_overlay.run(self.resources, job))
        if how == "repeated":
            self.do(files.sweep(self.resources))
            self.do(make_overlay.run(self.resources, job))
        if how == "cancelled":
            self.do(self.undo(capture.RECIPE, job))
            return multiple()
        self.do(seal.run(self.resources, job))
        image_id: str = job.args["image_id"]
        self.shows[image_id] = self.shows[volume_id]
        return image_id

    async def submit_capture(self, volume_id: str) -> Job:
        now = utcnow()
        image = Image(
            id=new_uuid(),
            project_id=OURS,
            name="made",
            status=ImageStatus.QUEUED,
            disk_format="qcow2",
            virtual_size_bytes=SIZE,
            created_at=now,
            updated_at=now,
        )
        job_id = new_hex_id()
        async with self.database.writing() as tx:
            volume = await volume_rows.get_volume(tx, volume_id)
            assert volume is not None
            await image_rows.insert_image(tx, image)
            args = {
                "image_id": image.id,
                "image_name": image.name,
                **sealing_args(job_id, [volume], server_id=new_uuid(), is_running=False),
            }
            new = NewJob(
                id=job_id, kind=capture.KIND, service=Service.IMS, lane=Lane.SEAL, subject_id=volume_id, args=args
            )
            return await jobs.submit_job(tx, new)

    async def undo(self, recipe: Recipe, job: Job) -> None:
        await recipe.undo(self.resources, job)
        async with self.database.writing() as tx:
            await jobs.fail_job(tx, job.id, JobCancelledError(), cancelled=True)

    @precondition(lambda self: len(self.shows) > 3)
    @rule(image_id=consumes(images))
    def delete_image(self, image_id: str) -> None:
        async def delete() -> None:
            async with self.database.writing() as tx:
                await images.delete_image(tx, caller(), image_id)

        del self.shows[image_id]
        self.do(delete())

    @precondition(lambda self: len(self.shows) > 3)
    @rule(volume_id=consumes(volumes))
    def delete_volume(self, volume_id: str) -> None:
        async def delete() -> None:
            async with self.database.writing() as tx:
                await volumes.delete_volume(tx, caller(), volume_id)

        if machine := self.machines.pop(volume_id, None):
            end(machine)
        del self.shows[volume_id]
        self.do(delete())

    # --- what the worker does ----------------------------------------------------------------------------------------

    @precondition(lambda self: self.do(self.consolidations()))
    @rule(
        pick=st.integers(0, 20),
        stops_after=st.sampled_from(["swap", "swap", "swap", "flatten", "digest"]),
        how=st.sampled_from(["well", "well", "repeated", "swept", "undone"]),
    )
    def consolidate(self, pick: int, stops_after: str, how: str) -> None:
        """One of those that wait, from where it has come to."""
        waiting = self.do(self.consolidations())
        job = waiting[pick % len(waiting)]
        names = [step.name for step in consolidation.RECIPE.steps]
        for step in consolidation.RECIPE.steps[names.index(job.result.get("next", names[0])) :]:
            if not self.do(self.runs_well(step, job)):
                how = "undone"
                break
            if how == "swept":
                self.do(files.sweep(self.resources))
            if how == "repeated" and self.do(self.is_live(job)):
                self.do(step.run(self.resources, job))
            if step.name == stops_after:
                self.do(self.note_next(job, names[(names.index(step.name) + 1) % len(names)]))
                break
        if how == "undone" and self.do(self.is_live(job)):
            self.do(self.undo(consolidation.RECIPE, job))

    async def runs_well(self, step: Any, job: Job) -> bool:
        """It may fail once its image is gone, and only then."""
        try:
            await step.run(self.resources, job)
        except (StillframeError, OSError):
            assert job.args["image_id"] not in self.shows
            return False
        return True

    async def consolidations(self) -> list[Job]:
        async with self.database.reading() as tx:
            live = await job_rows.list_jobs_in_state(tx, [JobState.QUEUED])
        return [job for job in live if job.kind == consolidation.KIND]

    async def is_live(self, job: Job) -> bool:
        async with self.database.reading() as tx:
            now = await job_rows.get_job(tx, job.id)
        return now is not None and now.state not in FINAL

    async def note_next(self, job: Job, step: str) -> None:
        async with self.database.writing() as tx:
            await job_rows.update_live_job(tx, job.id, result={"next": step})

    @rule()
    def sweep(self) -> None:
        self.do(files.sweep(self.resources))

    # --- what must always hold ---------------------------------------------------------------------------------------

    @invariant()
    def every_disk_in_use_is_whole(self) -> None:
        """Its rows are there and nobody's to remove, and so are its files."""
        for chain in self.do(self.chains()).values():
            assert all(layer.state is not LayerState.DOOMED for layer in chain)
            for layer in chain:
                assert self.resources.layout.layer(layer.id, layer.disk_format).exists()

    @invariant()
    def every_file_has_a_row(self) -> None:
        assert disks.files_of(self.resources) <= self.do(self.known_layers())

    async def chains(self) -> dict[str, list[Any]]:
        async with self.database.reading() as tx:
            return {one: await layer_rows.get_chain(tx, await self.layer_of(tx, one)) for one in self.shows}

    async def layer_of(self, tx: Any, image_or_volume_id: str) -> str:
        found = await image_rows.get_image(tx, image_or_volume_id) or await volume_rows.get_volume(
            tx, image_or_volume_id
        )
        assert found is not None
        assert found.layer_id is not None
        return found.layer_id

    async def known_layers(self) -> set[str]:
        async with self.database.reading() as tx:
            return {row.id for row in await tx.all(sa.select(layer_rows.layers.c.id))}

    def chain_of(self, image_or_volume_id: str) -> Chain:
        chain = self.do(self.chains())[image_or_volume_id]
        return tuple(layers.link(self.resources.layout, layer) for layer in chain)

    def teardown(self) -> None:
        """What everything shows is read back; then everything is deleted, and nothing may be left."""
        try:
            for machine in self.machines.values():
                end(machine)
            self.do(files.sweep(self.resources))
            for one, content in self.shows.items():
                assert shown(self.chain_of(one), content), one
            self.do(self.delete_everything())
            self.do(files.sweep(self.resources))
            assert self.do(self.known_layers()) == set()
            assert disks.files_of(self.resources) == set()
        finally:
            self.do(self.empty_tables())
            shutil.rmtree(self.data_dir)

    async def delete_everything(self) -> None:
        for job in await self.consolidations():
            await self.undo(consolidation.RECIPE, job)
        for one in self.shows:
            async with self.database.writing() as tx:
                if await volume_rows.get_volume(tx, one):
                    await volumes.delete_volume(tx, caller(), one)
                else:
                    await images.delete_image(tx, caller(), one)

    async def empty_tables(self) -> None:
        async with self.database.writing() as tx:
            for table in (volume_rows.volumes, image_rows.images, job_rows.jobs):
                await tx.execute(sa.delete(table))
            references = {"parent_id": None, "superseded_by": None}
            await tx.execute(sa.update(layer_rows.layers).values(**references))
            await tx.execute(sa.delete(layer_rows.layers))


def writable(chain: Chain) -> str:
    """The node on top and its file; what is below stays as it is."""
    return json_filename(chain).replace('"read-only":true', '"read-only":false', 2)


def shown(chain: Chain, content: Content) -> bool:
    reads = [word for n, pattern in enumerate(content) for word in ("-c", f"read -P {pattern} {n * BLOCK} {BLOCK}")]
    answer = tool("qemu-io", "-r", *reads, json_filename(chain))
    return answer.count("read ") == len(content) and "failed" not in answer


def start_machine(chain: Chain) -> subprocess.Popen[str]:
    """A process with the disk open and the locks of a machine."""
    process = subprocess.Popen(["qemu-io", writable(chain)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("length\n")
    process.stdin.flush()
    assert process.stdout.readline()
    return process


def end(machine: subprocess.Popen[str]) -> None:
    machine.communicate()


async def on_disks(database: Database, play: Callable[[Callable[[], Disks]], None]) -> None:
    """In a thread with an event loop of its own, since hypothesis calls plain functions."""
    url = database.engine.url.render_as_string(hide_password=False)

    def run() -> None:
        with asyncio.Runner() as runner:
            own = open_database(url)
            play(lambda: Disks(runner, own))
            runner.run(own.close())

    await asyncio.to_thread(run)


async def test_no_sequence_of_events_loses_a_disk_or_keeps_a_dead_one(database: Database) -> None:
    chosen = settings(
        max_examples=12,
        stateful_step_count=25,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    await on_disks(database, lambda make: run_state_machine_as_test(make, settings=chosen))


Story = Callable[[Disks, str], None]


def image_deleted_while_the_disk_cannot_move_yet(world: Disks, volume: str) -> None:
    image = world.capture(volume, "well")
    world.power_on_or_off(volume)
    world.consolidate(0, "swap", "well")
    world.sweep()
    world.delete_image(image)
    world.sweep()
    world.power_on_or_off(volume)
    world.sweep()


def everything_deleted_before_the_disk_could_move(world: Disks, volume: str) -> None:
    """The flattened layer is left to the old one alone, and goes with it."""
    image = world.capture(volume, "well")
    world.power_on_or_off(volume)
    world.consolidate(0, "swap", "well")
    world.delete_image(image)
    world.delete_volume(volume)
    world.sweep()


def image_deleted_in_the_middle_of_its_consolidation(world: Disks, volume: str) -> None:
    image = world.capture(volume, "well")
    world.consolidate(0, "digest", "well")
    world.delete_image(image)
    world.sweep()
    world.consolidate(0, "swap", "well")
    world.sweep()


def image_deleted_before_its_consolidation(world: Disks, volume: str) -> None:
    world.delete_image(world.capture(volume, "well"))
    world.consolidate(0, "swap", "well")
    world.sweep()


def server_deleted_before_the_consolidation(world: Disks, volume: str) -> None:
    image = world.capture(volume, "well")
    world.delete_volume(volume)
    world.sweep()
    world.consolidate(0, "swap", "swept")
    world.sweep()
    world.write(world.boot(image), 1)


def captured_thrice_and_consolidated_backwards(world: Disks, volume: str) -> None:
    for block in range(3):
        world.write(volume, block)
        world.capture(volume, "repeated")
    for last in (2, 1, 0):
        world.consolidate(last, "swap", "well")
        world.sweep()


def booted_from_an_image_that_is_flattened_and_deleted_later(world: Disks, volume: str) -> None:
    image = world.capture(volume, "well")
    second = world.boot(image)
    world.write(second, 2)
    world.power_on_or_off(second)
    world.consolidate(0, "swap", "well")
    world.delete_image(image)
    world.delete_volume(volume)
    world.sweep()
    world.power_on_or_off(second)
    world.sweep()
    world.capture(second, "well")


STORIES: list[Story] = [
    image_deleted_while_the_disk_cannot_move_yet,
    everything_deleted_before_the_disk_could_move,
    image_deleted_in_the_middle_of_its_consolidation,
    image_deleted_before_its_consolidation,
    server_deleted_before_the_consolidation,
    captured_thrice_and_consolidated_backwards,
    booted_from_an_image_that_is_flattened_and_deleted_later,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_stories_that_need_luck_to_be_found(database: Database, story: Story) -> None:
    def play(make: Callable[[], Disks]) -> None:
        world = make()
        try:
            story(world, world.first_volume())
            world.every_disk_in_use_is_whole()
            world.every_file_has_a_row()
        finally:
            world.teardown()

    await on_disks(database, play)
