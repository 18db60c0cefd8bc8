"""The benchmarks' arithmetic, and the copies that fill a catalogue."""

import sqlite3
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import closing

import pytest
from benchmarks.chart import draw
from benchmarks.multiply import multiply
from benchmarks.report import OURS, Goal, Row, Sample, cells, interleaved, summed_up


def row(unit: str, ours: float, glance: float, *goals: Goal) -> Row:
    results = {OURS: summed_up([Sample(value=ours)]), "Glance": summed_up([Sample(value=glance)])}
    return Row(part="p", case="<case>", unit=unit, results=results, goals=list(goals), load=0)


@pytest.mark.parametrize(
    ("unit", "ours", "glance"), [("requests/s", 30, 10), ("MB/s", 3, 1), ("s", 1, 3), ("MiB", 2, 6)]
)
def test_a_ratio_above_one_is_better_whatever_the_unit(unit: str, ours: float, glance: float) -> None:
    assert row(unit, ours, glance).ratio("Glance") == 3


def test_a_goal_is_met_missed_or_not_measured() -> None:
    goals = [Goal(against="Glance", bound=3), Goal(against="Glance", bound=3.1), Goal(against="nginx", bound=1)]
    measured = row("s", 1, 3, *goals, Goal(bound=1), Goal(bound=0.5))
    assert [measured.is_met(goal) for goal in measured.goals] == [True, False, None, True, False]
    assert cells(measured)[-1].count("MISSED") == 2


def test_contestants_take_turns_and_medians_are_kept() -> None:
    turns: list[str] = []
    values = {"a": iter([1.0, 9.0, 2.0]), "b": iter([4.0, 4.0, 4.0])}

    def contestant(name: str) -> Sample:
        turns.append(name)
        return Sample(value=next(values[name]))

    results = interleaved({"a": lambda: contestant("a"), "b": lambda: contestant("b")}, 3)
    assert turns == ["a", "b"] * 3
    assert (results["a"].value, results["a"].runs) == (2, [1, 9, 2])


def test_the_chart_is_well_formed_and_has_a_bar_for_every_row_with_a_peer() -> None:
    picture = ET.fromstring(draw([row("s", 1, 3), row("s", 3, 1)], "a < b"))  # noqa: S314 - our own text
    bars = [element.get("class") for element in picture.iter("{http://www.w3.org/2000/svg}rect")]
    assert bars == ["better", "worse"]


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript("""
            CREATE TABLE images (id TEXT PRIMARY KEY, name TEXT, created_at INTEGER, rendered BLOB,
                key TEXT GENERATED ALWAYS AS (name || '!') STORED);
            CREATE TABLE image_tags (id INTEGER PRIMARY KEY, image_id TEXT, tag TEXT, created_at TEXT);
            INSERT INTO images VALUES ('first', 'mark-name', 90000000, CAST('{"id":"first"}' AS BLOB));
            INSERT INTO image_tags VALUES (7, 'first', 'mark-tag', '2026-01-01 00:01:00');
        """)
        yield connection


def test_copies_have_ids_names_tags_and_times_of_their_own_wherever_the_schema_keeps_them(
    database: sqlite3.Connection,
) -> None:
    middle = multiply(database, {"images": "id", "image_tags": "image_id"}, "first", range(1, 4))
    images = database.execute("SELECT * FROM images WHERE id <> 'first' ORDER BY name").fetchall()
    assert [(image["name"], image["key"], image["created_at"]) for image in images] == [
        (f"image-000000{n}", f"image-000000{n}!", 90_000_000 - n * 1_000_000) for n in (1, 2, 3)
    ]
    assert [image["rendered"] for image in images] == [f'{{"id":"{image["id"]}"}}'.encode() for image in images]
    assert middle == images[1]["id"]
    tags = database.execute("SELECT image_id, tag, created_at FROM image_tags WHERE id <> 7 ORDER BY id").fetchall()
    assert [tuple(tag) for tag in tags] == [
        (image["id"], f"t{n}", f"2026-01-01 00:00:{60 - n}") for n, image in enumerate(images, 1)
    ]
