"""Lists: what is found, in which order, and by which index."""

import random
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillframe.db import Database
from stillframe.errors import InvalidInputError
from stillframe.images import listing, service, sharing
from stillframe.images.model import Image, ImageStatus, MemberStatus, OsInfo, Visibility
from stillframe.images.queries import Comparison, Condition, ImageQuery, Scope, Sort, SortKey
from stillframe.images.rows import STORED, image_from_row, image_properties, image_tags, images
from tests.images.helpers import EPOCH, OTHERS, OURS, THEIRS, add_projects, caller, image, insert


@pytest.fixture
async def filled(database: Database) -> Database:
    await add_projects(database)
    return database


async def ids(database: Database, project_id: str = OURS, role: str = "te_admin", **query: Any) -> list[str]:
    asked = ImageQuery(limit=query.pop("limit", 1000), **query)
    async with database.reading() as tx:
        return [one.id for one in await service.list_images(tx, caller(project_id, role), asked)]


async def names(database: Database, project_id: str = OURS, role: str = "te_admin", **query: Any) -> list[str | None]:
    asked = ImageQuery(limit=query.pop("limit", 1000), **query)
    async with database.reading() as tx:
        return [one.name for one in await service.list_images(tx, caller(project_id, role), asked)]


async def test_a_list_holds_own_public_and_accepted_images_newest_first(filled: Database) -> None:
    shared = image(THEIRS, minute=4, name="accepted", visibility=Visibility.SHARED)
    pending = image(THEIRS, minute=5, name="pending", visibility=Visibility.SHARED)
    await insert(
        filled,
        image(minute=1, name="private"),
        image(minute=2, name="own-shared", visibility=Visibility.SHARED),
        image(minute=3, name="own-public", visibility=Visibility.PUBLIC),
        shared,
        pending,
        image(THEIRS, minute=6, name="public", visibility=Visibility.PUBLIC),
        image(THEIRS, minute=7, name="hers"),
        image(THEIRS, minute=8, name="community", visibility=Visibility.COMMUNITY),
        image(minute=9, name="own-community", visibility=Visibility.COMMUNITY),
    )
    async with filled.writing() as tx:
        for one in (shared, pending):
            await sharing.add_member(tx, caller(THEIRS), one.id, OURS)
        await sharing.answer_share(tx, caller(OURS), shared.id, OURS, MemberStatus.ACCEPTED)
    assert await names(filled) == ["own-community", "public", "accepted", "own-public", "own-shared", "private"]
    assert await names(filled, scopes=frozenset({Scope.SHARED}), member_status=MemberStatus.PENDING) == ["pending"]
    assert await names(filled, scopes=frozenset({Scope.SHARED}), member_status=None) == ["pending", "accepted"]
    assert await names(filled, scopes=frozenset({Scope.COMMUNITY})) == ["community"]
    assert await names(filled, OTHERS) == ["public", "own-public"]


async def test_only_an_administrator_of_the_platform_lists_everything(filled: Database) -> None:
    await insert(filled, image(OURS, minute=1), image(THEIRS, minute=2), image(OTHERS, minute=3))
    everything = frozenset({Scope.ALL})
    assert await names(filled, role="admin", scopes=everything) == ["image-3", "image-2", "image-1"]
    with pytest.raises(InvalidInputError):
        await names(filled, role="te_admin", scopes=everything)


async def test_tags_and_properties_must_all_be_there(filled: Database) -> None:
    await insert(
        filled,
        image(minute=1, tags=("a", "b"), properties={"os": "x", "arch": "1"}),
        image(minute=2, tags=("a",), properties={"os": "x"}),
        image(minute=3, tags=("b",), properties={"arch": "1"}),
        image(THEIRS, minute=4, tags=("a", "b"), properties={"os": "x", "arch": "1"}, visibility=Visibility.PUBLIC),
    )
    assert await names(filled, tags=("a",)) == ["image-4", "image-2", "image-1"]
    assert await names(filled, tags=("a", "b")) == ["image-4", "image-1"]
    assert await names(filled, properties={"os": "x", "arch": "1"}) == ["image-4", "image-1"]
    assert await names(filled, tags=("b",), properties={"arch": "1"}) == ["image-4", "image-3", "image-1"]
    assert await names(filled, tags=("os",), properties={"os": "x"}) == []


async def test_a_long_property_value_is_found_exactly(filled: Database) -> None:
    await insert(filled, image(minute=1, properties={"p": "x" * 9000}), image(minute=2, properties={"p": "x" * 9001}))
    assert await names(filled, properties={"p": "x" * 9000}) == ["image-1"]


async def test_an_image_made_public_is_found_by_its_tags_in_every_project(filled: Database) -> None:
    one = image(tags=("a",), properties={"p": "v"})
    await insert(filled, one)
    async with filled.writing() as tx:
        before = await service.get_own_image(tx, caller(role="admin"), one.id)
        fields = {name: getattr(before, name) for name in before.__struct_fields__}
        await service.update_image(
            tx, caller(role="admin"), before, Image(**fields | {"visibility": Visibility.PUBLIC})
        )
    assert await ids(filled, THEIRS, tags=("a",), properties={"p": "v"}) == [one.id]
    assert await ids(filled, OURS, tags=("a",)) == [one.id]


async def test_times_are_compared_by_the_second_the_wire_shows(filled: Database) -> None:
    exact = EPOCH + timedelta(milliseconds=700)
    await insert(
        filled,
        image(name="before", created_at=EPOCH - timedelta(microseconds=1)),
        image(name="within", created_at=exact),
        image(name="after", created_at=EPOCH + timedelta(seconds=1)),
    )

    async def found(comparison: Comparison) -> set[str | None]:
        return set(await names(filled, conditions=(Condition("created_at", comparison, EPOCH),)))

    assert await found(Comparison.EQ) == {"within"}
    assert await found(Comparison.NEQ) == {"before", "after"}
    assert await found(Comparison.GT) == {"after"}
    assert await found(Comparison.GTE) == {"within", "after"}
    assert await found(Comparison.LT) == {"before"}
    assert await found(Comparison.LTE) == {"before", "within"}


async def test_fields_of_the_operating_system_filter(filled: Database) -> None:
    await insert(filled, image(name="w", os=OsInfo(os_type="Windows", version="Windows 10 64bit")), image(name="l"))
    assert await names(filled, any_of={"os.os_type": ("Windows",)}) == ["w"]
    assert await names(filled, any_of={"os.version": ("Windows 10 64bit", "Other Linux(64 bit)")}) != []
    assert await names(filled, any_of={"os.os_type": ()}) == []


async def test_deleted_images_are_listed_only_when_asked_for(filled: Database) -> None:
    gone, stays = image(minute=1), image(minute=2)
    await insert(filled, gone, stays)
    async with filled.writing() as tx:
        await service.delete_image(tx, caller(), gone.id)
    assert await ids(filled) == [stays.id]
    assert await ids(filled, deleted=True, any_of={"status": (ImageStatus.DELETED,)}) == [gone.id]
    assert await ids(filled, THEIRS, deleted=True) == []


async def test_an_unknown_marker_is_refused(filled: Database) -> None:
    hidden = image(THEIRS)
    await insert(filled, hidden)
    for marker in ("nonsense", hidden.id):
        with pytest.raises(InvalidInputError):
            await names(filled, marker=marker)


SORTS = st.lists(st.builds(Sort, st.sampled_from(SortKey), st.booleans()), max_size=3).map(tuple)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(sorts=SORTS, size=st.integers(1, 7))
async def test_pages_put_together_are_the_sorted_list(filled: Database, sorts: tuple[Sort, ...], size: int) -> None:
    """Whatever the keys, their directions and the page size: nothing twice, nothing missed, everything in order."""
    await _fill_once(filled)
    everything = await _page(filled, sorts, limit=1000, marker=None)
    assert len(everything) == 23
    collected: list[Image] = []
    while True:
        page = await _page(filled, sorts, limit=size, marker=collected[-1].id if collected else None)
        collected += page
        if len(page) < size:
            break
    assert [one.id for one in collected] == [one.id for one in everything]
    for earlier, later in pairwise(everything):
        _assert_ordered(earlier, later, sorts)


def _assert_ordered(earlier: Image, later: Image, sorts: tuple[Sort, ...]) -> None:
    for sort in sorts:
        field = "size_bytes" if sort.key is SortKey.SIZE else sort.key.value
        blank = -1 if field == "size_bytes" else ""
        first, second = (getattr(one, field) if getattr(one, field) is not None else blank for one in (earlier, later))
        if first != second:
            assert (first > second) == sort.descending
            return


async def _fill_once(database: Database) -> None:
    async with database.reading() as tx:
        if await service.is_registered(tx, "0" * 8 + "-0000-4000-8000-" + "0" * 12):
            return
    chosen = random.Random(7)
    await insert(database, image(id="0" * 8 + "-0000-4000-8000-" + "0" * 12))
    await insert(
        database,
        *[
            image(
                chosen.choice([OURS, OURS, THEIRS]),
                minute=chosen.randrange(4),
                name=chosen.choice([None, "a", "b", "B", "ä"]),
                size_bytes=chosen.choice([None, 0, 1, 5]),
                disk_format=chosen.choice([None, "raw", "qcow2"]),
                visibility=Visibility.PUBLIC,
            )
            for _ in range(11)
        ],
        *[image(minute=chosen.randrange(4), name=chosen.choice([None, "a", "b"])) for _ in range(11)],
    )


async def _page(database: Database, sorts: tuple[Sort, ...], *, limit: int, marker: str | None) -> list[Image]:
    asked = ImageQuery(limit=limit, marker=marker, **({"sorts": sorts} if sorts else {}))
    async with database.reading() as tx:
        return await service.list_images(tx, caller(), asked)


NOT_HIDDEN = {"os_hidden": (False,)}
INDEXED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "own only": {"scopes": frozenset({Scope.OWN})},
    "name": {"any_of": {"name": ("x",)}},
    "status": {"any_of": {"status": ("queued",)}},
    "disk format": {"any_of": {"disk_format": ("raw",)}},
    "os type": {"any_of": {"os.os_type": ("Windows",)}},
    "os version": {"any_of": {"os.version": ("x",)}},
    "hidden": {"any_of": {"os_hidden": (True,)}},
    "protected": {"any_of": {"protected": (True,)}},
    "hash": {"any_of": {"os_hash_value": ("0" * 128,)}},
    "tag": {"tags": ("x",)},
    "tags": {"tags": ("x", "y")},
    "property": {"properties": {"p": "v"}},
    "id": {"any_of": {"id": ("x", "y"), "status": ("active",)}},
    "name and status": {"any_of": {"name": ("x",), "status": ("active",), "os_hidden": (False,)}},
    "not hidden": {"any_of": NOT_HIDDEN},
    "community": {"scopes": frozenset({Scope.COMMUNITY})},
    "owner": {"any_of": {"project_id": (OURS,)}},
    "other owner": {"any_of": {"project_id": (OTHERS,)}},
    "tag, not hidden, by id": {"tags": ("x",), "any_of": NOT_HIDDEN, "sorts": (Sort(SortKey.ID, descending=True),)},
    "property, not hidden": {"properties": {"p": "v"}, "any_of": NOT_HIDDEN},
    "everything by name": {"scopes": frozenset({Scope.ALL}), "sorts": (Sort(SortKey.NAME, descending=False),)},
    "everything": {"scopes": frozenset({Scope.ALL}), "any_of": NOT_HIDDEN},
    "visibility": {"any_of": {"visibility": (Visibility.SHARED,)}},
    **{f"by {key}": {"sorts": (Sort(key, descending=key is not SortKey.NAME),)} for key in SortKey},
    **{f"tag by {key}": {"tags": ("x",), "sorts": (Sort(key, descending=True),)} for key in SortKey},
    "two tags by name": {"tags": ("x", "y"), "sorts": (Sort(SortKey.NAME, descending=False),)},
}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_no_walk_of_a_list_scans_or_sorts(filled: Database) -> None:
    """A scan of the table or a sort of all that matches would make a page slower with every image stored."""
    for name, asked in INDEXED.items():
        for marker in (None, image(name="m", size_bytes=5)):
            async with filled.reading() as tx:
                found = await tx.all(sa.text("EXPLAIN QUERY PLAN " + _page_sql(filled, asked, marker)))
            plan = [row[3] for row in found]
            assert any(("ix_image_tags" if "tags" in asked else "ix_image") in line for line in plan), (name, plan)
            assert not [line for line in plan if line.startswith("SCAN image") and "INDEX" not in line], (name, plan)
            # The page itself, at most one of each scope's, is sorted; the walks come in order.
            sorts = sum("FOR ORDER BY" in line for line in plan)
            assert sorts <= 1 + _sorted_walks(asked), (name, plan)


def _sorted_walks(asked: dict[str, Any]) -> int:
    """Images shared by others are few, and sorted after they are found; so are images found by their ids."""
    return 3 if "id" in asked.get("any_of", {}) else int(Scope.SHARED in asked.get("scopes", {Scope.SHARED}))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_list_is_prepared_once_for_all_values(filled: Database) -> None:
    """For values that might change the plan SQLite prepares it each time, which takes longer than running it."""
    async with filled.reading() as tx:
        if not await tx.all(sa.text("SELECT 1 FROM pragma_module_list WHERE name = 'sqlite_stmt'")):
            pytest.skip("this SQLite does not tell what it prepares")
        for name, asked in INDEXED.items():
            if "visibility" in asked.get("any_of", {}):  # one index is of images of one visibility
                continue
            for size_bytes in (5, 6, 7):
                marker = image(name=f"m{size_bytes}", size_bytes=size_bytes)
                await listing.list_images(tx, OURS, ImageQuery(limit=PAGE, **asked), marker)
            assert await tx.all(sa.text("SELECT sql FROM sqlite_stmt WHERE reprep > 0")) == [], name


COPIES = 2_500
PAGE = 25
READ_FOR_A_PAGE = 20 * PAGE
"""Rows of any kind: two walks that find one in two, the rows of images, tags and properties for each, and the page."""


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_postgresql_reads_a_page_and_not_the_table(filled: Database) -> None:
    """Its plans depend on what is stored, so here it is what was read that counts."""
    middle = await _fill_with_many(filled)
    for name, asked in INDEXED.items():
        for marker in (None, middle):
            async with filled.reading() as tx:
                explained = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + _page_sql(filled, asked, marker)
                [[[result]]] = await tx.all(sa.text(explained))
            read = _rows_read(result["Plan"])
            assert read <= READ_FOR_A_PAGE, (name, marker, read, result)


def _page_sql(database: Database, asked: dict[str, Any], marker: Image | None) -> str:
    query = ImageQuery(limit=PAGE, **asked)
    shape = listing.shape_of(query, continues=marker is not None)
    statement = listing.page_statement(shape).params(listing.bound_values(shape, OURS, query, marker))
    compiled = str(statement.compile(database.engine.sync_engine, compile_kwargs={"literal_binds": True}))
    return compiled.replace(":", r"\:").replace("%%", "%")


async def _fill_with_many(database: Database) -> Image:
    """Many images of ours and many of everybody's, a second apart, of which half are what lists ask for.

    Answers one of those that is in the middle both by its time and by its id.
    """
    ours, public = {"project_id": OURS}, {"project_id": THEIRS, "visibility": Visibility.PUBLIC}
    windows = OsInfo(os_type="Windows", version="x")
    asked_for = {"name": "x", "status": ImageStatus.ACTIVE, "disk_format": "raw", "size_bytes": 7, "os": windows}
    asked_for |= {"tags": ("x", "y"), "properties": {"p": "v"}}
    others = {"tags": ("z",), "properties": {"p": "w"}, "disk_format": "qcow2"}
    templates = [image(**owner, **fields) for owner in (ours, public) for fields in (asked_for, others)]
    await insert(database, *templates, image(OTHERS, visibility=Visibility.COMMUNITY))
    keys = (images.c.id, image_tags.c.image_id, image_properties.c.image_id)
    async with database.writing() as tx:
        for key in keys:
            for template in templates:
                await tx.execute(_copies(key, template.id))
            await tx.execute(sa.text(f"ANALYZE {key.table.name}"))
        by_time = sa.select(*STORED).where(images.c.name == "x").order_by(images.c.created_at)
        [found] = await tx.all(by_time.offset(COPIES).limit(1))
    return image_from_row(found)


def _copies(key: sa.Column[str], template: str) -> sa.Insert:
    table = key.table
    numbers = sa.func.generate_series(sa.cast(1, sa.BigInteger), COPIES).table_valued("number").render_derived()
    instead = {
        key.name: sa.func.overlay(key, sa.func.to_char(numbers.c.number, "FM00000000"), 1),
        "created_at": sa.type_coerce(table.c.created_at, sa.BigInteger) + numbers.c.number * 1_000_000,
    }
    stored = [column for column in table.c if column.computed is None]
    copied = sa.select(*[instead.get(column.name, column) for column in stored]).join_from(table, numbers, sa.true())
    return sa.insert(table).from_select(stored, copied.where(key == template))


def _rows_read(plan: dict[str, Any]) -> int:
    removed = sum(plan.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Join Filter", "Index Recheck"))
    here = (plan["Actual Rows"] + removed) * plan["Actual Loops"] if "Relation Name" in plan else 0
    return here + sum(_rows_read(below) for below in plan.get("Plans", []))
