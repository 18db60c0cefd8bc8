"""Many images from one, by SQL: its rows once more, with other ids in place of its id and other words for its marks.

So whatever a schema keeps about an image is kept about the others, too, and nothing here has to know about it.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

TAGS, TEAMS = 5, 4
"""So few that there is a whole page of each among a hundred images."""
MARKS = {"name": "mark-name", "tag": "mark-tag", "team": "mark-team"}
"""What the first image, the template, is to have for a name, a tag and the property `team`."""

_INSTEAD = {
    MARKS["name"]: "printf('image-%07d', n)",
    MARKS["tag"]: f"'t' || (n % {TAGS})",
    MARKS["team"]: f"'team' || (n % {TEAMS})",
}
_A_SECOND_EARLIER = ("created_at", "updated_at")
_SERIES = """
WITH RECURSIVE counted(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM counted WHERE n < :last)
INSERT INTO series SELECT n, lower(printf('%s-%s-4%s-a%s-%s', hex(randomblob(4)), hex(randomblob(2)),
    substr(hex(randomblob(2)), 2), substr(hex(randomblob(2)), 2), hex(randomblob(6)))) FROM counted
"""


def multiply(connection: sqlite3.Connection, tables: Mapping[str, str], template: str, numbers: range) -> str:
    """One copy for each number, which must be a range of step 1, each a second older than the one before.

    `tables` says in which column of which table the image's id is. Answers the id of the copy in the middle.
    """
    connection.row_factory = sqlite3.Row
    connection.execute("CREATE TEMP TABLE series (n INTEGER PRIMARY KEY, id TEXT NOT NULL)")
    connection.execute(_SERIES, {"first": numbers[0], "last": numbers[-1]})
    for table, key in tables.items():
        _copy_rows(connection, table, key, template)
    middle = connection.execute("SELECT id FROM series WHERE n = ?", [numbers[len(numbers) // 2]]).fetchone()["id"]
    connection.execute("DROP TABLE series")
    return str(middle)


def _copy_rows(connection: sqlite3.Connection, table: str, key: str, template: str) -> None:
    # Computed columns are not told here, and numbers that the database gives out itself are left to it.
    columns = [row["name"] for row in connection.execute(f"PRAGMA table_info({table})") if not _is_serial(row)]
    for row in connection.execute(f"SELECT rowid AS place, * FROM {table} WHERE {key} = ?", [template]).fetchall():
        values = ", ".join(_expression(name, row[name], template) for name in columns)
        connection.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) "
            f"SELECT {values} FROM series CROSS JOIN {table} AS t WHERE t.rowid = ? ORDER BY n",
            [row["place"]],
        )


def _is_serial(column: sqlite3.Row) -> bool:
    return bool(column["pk"] == 1 and column["type"] == "INTEGER")


def _expression(column: str, value: Any, template: str) -> str:
    """SQL of a column of the n-th copy."""
    if column in _A_SECOND_EARLIER and value is not None:
        return (
            f"t.{column} - n * 1000000" if isinstance(value, int) else f"datetime(t.{column}, '-' || n || ' seconds')"
        )
    if column == "size_bytes":
        return f"t.{column} + n % 1000"
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    result = f"t.{column}"
    if isinstance(text, str):
        for mark, other in {template: "series.id", **_INSTEAD}.items():
            if mark in text:
                result = f"replace({result}, '{mark}', {other})"
    return f"CAST({result} AS BLOB)" if isinstance(value, bytes) else result
