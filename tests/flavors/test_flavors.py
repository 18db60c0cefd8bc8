"""Flavors: what is there from the start, and what a second start does to it."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from stillframe.errors import FlavorNotFoundError
from stillframe.flavors import rows
from stillframe.flavors import service as flavors
from stillframe.flavors.model import BUILT_IN
from tests.servers.world import private_database


async def test_a_second_start_changes_no_flavor(tmp_path: Path) -> None:
    async with private_database(tmp_path) as database:
        changed = replace(BUILT_IN[0], ram_mib=300, is_public=False)
        async with database.writing() as tx:
            await rows.insert_flavor(tx, changed)
            for _ in range(2):
                await flavors.bootstrap_flavors(tx)
            assert await flavors.get_flavor(tx, changed.id) == changed
            assert len(await flavors.list_flavors(tx, is_public=None)) == len(BUILT_IN)
            assert changed not in await flavors.list_flavors(tx)


async def test_what_is_no_flavor_is_not_found(tmp_path: Path) -> None:
    async with private_database(tmp_path) as database, database.reading() as tx:
        for text in ("", "s3", "\x00", "x" * 1000):
            with pytest.raises(FlavorNotFoundError):
                await flavors.get_flavor(tx, text)


def test_the_sizes_follow_their_names() -> None:
    """The last number is GiB of memory for each processor, but for the smallest two."""
    for flavor in BUILT_IN[2:]:
        assert flavor.ram_mib == flavor.vcpus * int(flavor.id.rsplit(".", 1)[1]) * 1024
