"""Systems with very many images in them, written straight into their databases."""

import contextlib
import sqlite3
from collections.abc import Iterator

import httpx
import msgspec
from tests.system import System

from benchmarks import ours
from benchmarks.multiply import MARKS, multiply
from benchmarks.peers import Peers

_OUR_TABLES = {"images": "id", "image_tags": "image_id", "image_properties": "image_id"}
_GLANCE_TABLES = {**_OUR_TABLES, "image_locations": "image_id"}


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    token: str
    costs: list[int]
    count: int
    some_id: str
    """Of an image in the middle, by time of creation."""
    system: System | None = None
    """Where it is ours."""

    @property
    def some_name(self) -> str:
        return f"image-{self.count // 2:07d}"


@contextlib.contextmanager
def catalogue_of(count: int) -> Iterator[Catalogue]:
    """A running system of ours with so many images."""
    with ours.started() as system:
        with system.http("image") as image:
            template = make_template(image)
        system.down()
        database = sqlite3.connect(system.data_dir / "stillframe.db", isolation_level=None)
        with contextlib.closing(database):
            for pragma in (
                "journal_mode = off",
                "synchronous = off",
                "cache_size = -1000000",
                "temp_store = memory",
                "threads = 2",
            ):
                database.execute(f"PRAGMA {pragma}")
            with _without_indexes(database):
                some_id = multiply(database, _OUR_TABLES, template, range(1, count))
        system.up()
        yield Catalogue(
            url=system.url("image"),
            token=system.token(),
            costs=[ours.main_pid(system)],
            count=count,
            some_id=some_id,
            system=system,
        )


class GlanceCatalogues:
    """The one Glance, with more and more images."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._count = 1
        with peers.images() as images:
            self._template = make_template(images)

    def grown_to(self, count: int) -> Catalogue:
        database = sqlite3.connect(self._peers.glance_database, timeout=60)
        with contextlib.closing(database), database:
            some_id = multiply(database, _GLANCE_TABLES, self._template, range(self._count, count))
        self._count = count
        peers = self._peers
        return Catalogue(url=peers.glance, token=peers.token(), costs=[peers.glance_pid], count=count, some_id=some_id)


def make_template(images: httpx.Client) -> str:
    wanted = {"name": MARKS["name"], "tags": [MARKS["tag"]], "team": MARKS["team"]}
    formats = {"disk_format": "raw", "container_format": "bare"}
    image_id = str(images.post("/v2/images", json=wanted | formats).raise_for_status().json()["id"])
    data = {"Content-Type": "application/octet-stream"}
    images.put(f"/v2/images/{image_id}/file", content=bytes(1024**2), headers=data).raise_for_status()
    return image_id


@contextlib.contextmanager
def _without_indexes(database: sqlite3.Connection) -> Iterator[None]:
    """Building an index over all rows is many times as fast as adding to it row by row."""
    tables = ", ".join(f"'{table}'" for table in _OUR_TABLES)
    found = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN"
    indexes = database.execute(f"{found} ({tables})").fetchall()
    for name, _ in indexes:
        database.execute(f"DROP INDEX {name}")
    yield
    for _, statement in indexes:
        database.execute(statement)
