"""Whether an application credential's access rules let a request through.

Source: OpenStack keystonemiddleware, `_path_matches`: `*` stands for one part of a path, `**` for any number of them,
`{name}` for one part whatever it is.
"""

import re
from functools import lru_cache

from stillframe.identity.catalog import ENTRIES
from stillframe.identity.model import Caller

_PLACEHOLDER = re.compile(r"\\\*\\\*|\\\*|\\\{[^/]*?\\\}")


def service_types(service: str) -> frozenset[str]:
    """The types a service has in the catalog, by its key in `config.PORTS`."""
    return frozenset(entry.type for entry in ENTRIES if entry.service == service)


def are_met(caller: Caller, types: frozenset[str], method: str, path: str) -> bool:
    """Who has no rules may ask for everything; everybody may ask what they are."""
    if caller.access_rules is None or ("identity" in types and path.startswith("/v3/auth/")):
        return True
    return any(
        rule.service in types and rule.method == method and _pattern(rule.path).fullmatch(path)
        for rule in caller.access_rules
    )


@lru_cache(maxsize=1024)
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_PLACEHOLDER.sub(lambda found: ".*" if found[0] == r"\*\*" else "[^/]+", re.escape(path)))
