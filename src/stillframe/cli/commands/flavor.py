"""`stillframe flavor`."""

from cyclopts import App

from stillframe.cli import servers
from stillframe.cli.context import Ctx
from stillframe.cli.output import print_json, print_table

app = App(name="flavor", help="Flavors: the sizes a server can have.")


@app.command(name="list")
def list_flavors(*, ctx: Ctx) -> None:
    """List the flavors, small ones first."""
    found = servers.list_flavors(ctx.api)
    if ctx.is_json:
        print_json(found)
        return
    rows = ((flavor["id"], flavor["name"], flavor["vcpus"], flavor["ram"], flavor["disk"]) for flavor in found)
    print_table(("id", "name", "vcpus", "ram mib", "disk gib"), rows)
