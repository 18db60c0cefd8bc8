"""A system with very many images in it, written straight into its database.

One image is made through the API, with a mark of its own as name, tag and property; every other image is its rows once
more, with other ids in place of its id and other words in place of its marks. So whatever else the schema keeps about
an image is kept about these, too.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from tests.system import System

from benchmarks import ours

TAGS, TEAMS = 100, 50
_MARKS = {
    "mark-name": "printf('image-%07d', n)",
    "mark-tag": f"'t' || (n % {TAGS})",
    "mark-team": f"'team' || (n % {TEAMS})",
}
_NUMBERS = {"created_at": "- n * 1000000", "updated_at": "- n * 1000000", "size_bytes": "+ n % 1000"}
_TABLES = {"images": "id", "image_tags": "image_id", "image_properties": "image_id"}


class Catalogue(msgspec.Struct, frozen=True):
    system: System
    count: int
    some_id: str
    """Of an image in the middle, by time of creation."""

    @property
    def some_name(self) -> str:
        return f"image-{self.count // 2:07d}"


@contextlib.contextmanager
def catalogue_of(count: int) -> Iterator[Catalogue]:
    """A running system of its own with so many images."""
    with ours.started() as system:
        template = _make_template(system)
        system.down()
        some_id = _multiply(system.data_dir / "stillframe.db", template, count)
        system.up()
        yield Catalogue(system, count, some_id)


def _make_template(system: System) -> str:
    wanted = {
        "name": "mark-name",
        "tags": ["mark-tag"],
        "team": "mark-team",
        "disk_format": "raw",
        "container_format": "bare",
    }
    with system.http("image") as image:
        answer = image.post("/v2/images", json=wanted)
        answer.raise_for_status()
        image_id = str(answer.json()["id"])
        data = {"Content-Type": "application/octet-stream"}
        image.put(f"/v2/images/{image_id}/file", content=bytes(1024**2), headers=data).raise_for_status()
    return image_id


def _multiply(database: Path, template: str, count: int) -> str:
    """The template's rows `count` - 1 times more, each a second older than the one before. Answers the middle's id."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode = off", "synchronous = off", "cache_size = -1000000", "temp_store = memory"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TEMP TABLE series (n INTEGER PRIMARY KEY, id TEXT NOT NULL)")
        connection.execute(
            "WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < ?) "
            "INSERT INTO series SELECT n, lower(printf('%s-%s-4%s-a%s-%s', hex(randomblob(4)), hex(randomblob(2)), "
            "substr(hex(randomblob(2)), 2), substr(hex(randomblob(2)), 2), hex(randomblob(6)))) FROM counted",
            [max(1, count - 1)],
        )
        with _without_indexes(connection):
            for table, key in _TABLES.items():
                _copy_rows(connection, table, key, template)
        return str(connection.execute("SELECT id FROM series WHERE n = ?", [max(1, count // 2)]).fetchone()["id"])


@contextlib.contextmanager
def _without_indexes(connection: sqlite3.Connection) -> Iterator[None]:
    """Building an index over all rows is many times as fast as adding to it row by row."""
    names = ", ".join(f"'{table}'" for table in _TABLES)
    found = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN"
    indexes = connection.execute(f"{found} ({names})").fetchall()
    for index in indexes:
        connection.execute(f"DROP INDEX {index['name']}")
    yield
    for index in indexes:
        connection.execute(index["sql"])


def _copy_rows(connection: sqlite3.Connection, table: str, key: str, template: str) -> None:
    names = [row["name"] for row in connection.execute(f"PRAGMA table_info({table})")]  # without computed columns
    for row in connection.execute(f"SELECT rowid AS place, * FROM {table} WHERE {key} = ?", [template]).fetchall():
        values = ", ".join(_expression(name, row[name], template) for name in names)
        connection.execute(
            f"INSERT INTO {table} ({', '.join(names)}) "
            f"SELECT {values} FROM series CROSS JOIN {table} AS t WHERE t.rowid = ? ORDER BY n",
            [row["place"]],
        )


def _expression(column: str, value: Any, template: str) -> str:
    """SQL of a column of the n-th copy."""
    if column in _NUMBERS and isinstance(value, int):
        return f"t.{column} {_NUMBERS[column]}"
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    result = f"t.{column}"
    if isinstance(text, str):
        for mark, other in {template: "series.id", **_MARKS}.items():
            if mark in text:
                result = f"replace({result}, '{mark}', {other})"
    return f"CAST({result} AS BLOB)" if isinstance(value, bytes) else result
