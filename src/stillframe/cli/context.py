"""What every command that talks to a cloud is given: the cloud, chosen once, and how to show results."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from stillframe.cli.output import Format
from stillframe.cli.progress import Display, can_be_live, open_display

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from stillframe.cli.api import Api


@dataclass(frozen=True, kw_only=True)
class Context:
    output: Format = "table"
    os_cloud: str | None = None
    verbose: bool = False

    @property
    def is_json(self) -> bool:
        return self.output == "json"

    @cached_property
    def api(self) -> "Api":
        """Opened on first use: a command that is wrong or asks for help contacts nobody, and loads no HTTP library."""
        from stillframe.cli.api import Api  # noqa: PLC0415
        from stillframe.cli.cloud import choose_cloud  # noqa: PLC0415
        from stillframe.cli.session import TokenCache, default_cache_dir  # noqa: PLC0415
        from stillframe.cli.transcript import print_as_curl  # noqa: PLC0415

        cloud = choose_cloud(self.os_cloud)
        return Api(cloud, TokenCache(default_cache_dir()), print_as_curl if self.verbose else None)

    def display(self, label: str) -> "AbstractContextManager[Display]":
        """Progress on stderr. The curl lines of --verbose would tear a live display apart."""
        return open_display(label, live=can_be_live() and not self.verbose)


Ctx = Annotated[Context, Parameter(parse=False)]
"""The last parameter of such a command; never seen by the user."""
