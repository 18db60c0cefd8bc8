# ruff: noqa: D417 - ctx is injected, and a parameter whose name says it all needs no help
"""`stillframe token`."""

from cyclopts import App

from stillframe.cli.context import Ctx
from stillframe.cli.output import print_fields, print_json, say

app = App(name="token", help="Tokens: print one for curl and other tools, or revoke it.")


@app.command(name="issue")
def issue_token(*, renew: bool = False, ctx: Ctx) -> None:
    """Print a token: the one this command keeps, or a new one when that is about to expire.

    Parameters
    ----------
    renew
        Ask for a new one in any case. The old one stays valid.
    """
    api = ctx.api
    if renew:
        api.auth.forget()
    token = api.open_token()
    fields = {
        "id": token.auth_token,
        "expires": token.expires.isoformat() if token.expires else None,
        "project_id": token.project_id,
        "project_name": token.project_name,
        "user_id": token.user_id,
        "user_name": token.username,
    }
    if ctx.is_json:
        print_json(fields)
    else:
        print_fields(fields)


@app.command(name="revoke")
def revoke_token(*, ctx: Ctx) -> None:
    """Make the kept token invalid everywhere, and forget it."""
    api = ctx.api
    revoked = api.revoke_kept_token()
    if ctx.is_json:
        print_json({"revoked": revoked})
    else:
        say("the token is revoked" if revoked else "no token is kept for this cloud")
