"""Writes docs/coverage.md: every operation that a door knows, and whether it is there.

The table is read off the routes themselves, where an operation that is not there yet is a route that answers 501; so
the table cannot promise what the service does not do.

Usage: python -m stillframe.coverage > docs/coverage.md
"""

import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from litestar import Litestar

from stillframe.app import DOORS

TITLES = {
    "identity_v3": "IAM (Keystone v3)",
    "image_v2": "Images (Glance v2)",
    "ims": "IMS (v1 and v2 cloudimages)",
    "compute_v2": "Servers (Nova v2.1)",
    "ecs_v1": "Servers (ECS v1)",
    "volume_v3": "Volumes (Cinder v3, EVS)",
    "network_v2": "Networks (Neutron v2.0)",
    "vpc_v1": "VPC (v1)",
    "health": "Health (of each service)",
    "console": "Web console",
}


class Operation(NamedTuple):
    path: str
    method: str
    missing: str | None
    """What cannot be done yet; None when the operation is there."""


def operations(handlers: Iterable[Any]) -> list[Operation]:
    """Every method of every path the handlers serve, sorted by path."""
    return sorted(_routes(Litestar(route_handlers=list(handlers), openapi_config=None)))


def _routes(app: Litestar) -> Iterator[Operation]:
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            for method in sorted(handler.http_methods - {"OPTIONS"}):
                yield Operation(route.path_format, str(method), handler.opt.get("missing"))


def render() -> str:
    lines = [
        "# Coverage",
        "",
        "Every operation that a door knows, generated from the routes (`make coverage-docs`). *Missing* ones answer",
        "501. Images and IMS are listed whole; of the other references, what goes with servers, volumes and networks.",
        "Families of calls that are left out altogether answer 404; [limits.md](limits.md) names them, and tells where",
        "behaviour is narrower than the reference.",
        "",
    ]
    doors = {package.__name__.rsplit(".", 1)[-1]: package for packages in DOORS.values() for package in packages}
    tables = {name: operations(package.handlers) for name, package in doors.items()}
    lines += ["| Door | There | Listed |", "|---|---|---|"]
    for name, found in tables.items():
        lines.append(f"| {TITLES[name]} | {sum(one.missing is None for one in found)} | {len(found)} |")
    for name, found in tables.items():
        lines += ["", f"## {TITLES[name]}", "", "| Operation | |", "|---|---|"]
        lines += [f"| `{one.method} {one.path}` | {_verdict(one)} |" for one in found]
    return "\n".join(lines) + "\n"


def _verdict(operation: Operation) -> str:
    return f"missing: {operation.missing}" if operation.missing else "there"


if __name__ == "__main__":
    sys.stdout.write(render())
