"""Names or ids: finding the one thing a user means."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from stillframe.cli.errors import CliError, ExitCode

_ID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


def looks_like_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def quoted(text: str) -> str:
    """As one segment of a path, whatever is in it."""
    return quote(text, safe="")


def pick_one(kind: str, wanted: str, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Raises: CliError when nothing or more than one thing answers to that name."""
    if len(found) == 1:
        return found[0]
    if not found:
        raise CliError(
            f"no {kind} with the name or id {wanted!r}",
            exit_code=ExitCode.NOT_FOUND,
            hint=f"see which there are: stillframe {kind} list" if kind in ("server", "image", "flavor") else "",
        )
    ids = "\n".join(f"    {item['id']}  {item.get('status') or ''}".rstrip() for item in found)
    raise CliError(
        f"{len(found)} {kind}s are called {wanted!r}:\n{ids}",
        exit_code=ExitCode.USAGE,
        hint="say which one you mean by its id",
    )
