"""Results go to stdout, as plain aligned columns or as JSON; everything said on the way goes to stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from stillframe.cli.errors import CliError

Format = Literal["table", "json"]


def print_json(value: object) -> None:
    """JSON itself leaves control characters above U+007F as they are, and a terminal may act on them."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    sys.stdout.write("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Never truncated or wrapped: ids can be cut out with awk, whatever the width of the terminal."""
    lines = [[column.upper() for column in columns], *([cell_text(cell) for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def print_fields(fields: Mapping[str, object]) -> None:
    """One thing: a name and a value per line, unset values left out."""
    shown = {name: cell_text(value) for name, value in fields.items()}
    width = max((len(name) for name, value in shown.items() if value), default=0)
    for name, value in shown.items():
        if value:
            sys.stdout.write(f"{name:<{width}}  {value}\n")


def say(text: str) -> None:
    sys.stderr.write(printable(text, keep="\n\t") + "\n")
    sys.stderr.flush()


def tell_error(error: CliError) -> None:
    say(f"error: {error}")
    if error.hint:
        say(f"  fix: {printable(error.hint)}")


def cell_text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(cell_text(item) for item in value)
        case dict():
            return printable(json.dumps(value, ensure_ascii=False)) if value else ""
        case _:
            return printable(str(value))


def printable(text: str, keep: str = "") -> str:
    """Control characters as escapes: names and consoles are other people's text and must not drive the terminal."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def format_bytes(size_bytes: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"


def format_seconds(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _width(text: str) -> int:
    """Columns on a terminal. Rich knows wide characters, but plain ASCII need not wait for its import."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415

    return cell_len(text)


def pick(source: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name.strip("_"): source.get(name) for name in names}
