# ruff: noqa: D417 - ctx is injected, and a parameter whose name says it all needs no help
"""`stillframe keypair`."""

import os
import sys
from pathlib import Path
from typing import Any, Self

from cyclopts import App

from stillframe.cli.context import Context, Ctx
from stillframe.cli.errors import CliError, ExitCode
from stillframe.cli.lookup import quoted
from stillframe.cli.output import print_fields, print_json, print_table, say

app = App(name="keypair", help="Key pairs: the SSH keys put into servers.")


@app.command(name="list")
def list_keypairs(*, ctx: Ctx) -> None:
    """List the key pairs of the user."""
    found = [entry["keypair"] for entry in ctx.api.get("compute", "/os-keypairs")["keypairs"]]
    if ctx.is_json:
        print_json(found)
    else:
        print_table(("name", "fingerprint"), ((pair["name"], pair["fingerprint"]) for pair in found))


@app.command(name="create")
def create_keypair(name: str, *, public_key: Path | None = None, private_key: Path | None = None, ctx: Ctx) -> None:
    """Create a key pair, from your own public key or a new one.

    Parameters
    ----------
    public_key
        File with your SSH public key. Without it the service makes a new pair.
    private_key
        File for the private key of a new pair, readable by you only. Without it the key is printed.
    """
    if public_key and private_key:
        raise CliError("--public-key and --private-key exclude each other", exit_code=ExitCode.USAGE)
    request = {"name": name}
    if public_key:
        request["public_key"] = _read(public_key)
    with _PrivateKeyFile(private_key) as key_file:
        pair = ctx.api.post("compute", "/os-keypairs", {"keypair": request})["keypair"]
        if private_key and (secret := pair.pop("private_key", None)):
            key_file.write(secret)
    _show(ctx, pair)


@app.command(name="delete")
def delete_keypair(name: str, *, ctx: Ctx) -> None:
    """Delete a key pair. Servers that have its key keep it."""
    ctx.api.delete("compute", f"/os-keypairs/{quoted(name)}")
    if ctx.is_json:
        print_json({"name": name})
    else:
        say(f"key pair {name} is deleted")


class _PrivateKeyFile:
    """Opened before the key is made: a file that cannot be written must not cost the only copy of a key."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._written = False

    def __enter__(self) -> Self:
        if self._path:
            try:
                os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            except OSError as error:
                exit_code = ExitCode.CONFLICT if isinstance(error, FileExistsError) else ExitCode.USAGE
                raise CliError(f"{self._path}: {error.strerror}", exit_code=exit_code) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._path and not self._written:
            self._path.unlink(missing_ok=True)

    def write(self, key: str) -> None:
        if self._path:
            self._path.write_text(key)
            self._written = True


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{path} cannot be read: {error}", exit_code=ExitCode.USAGE) from None


def _show(ctx: Context, pair: dict[str, Any]) -> None:
    if ctx.is_json:
        print_json(pair)
    elif secret := pair.get("private_key"):
        sys.stdout.write(secret if secret.endswith("\n") else secret + "\n")
    else:
        print_fields({"name": pair["name"], "fingerprint": pair.get("fingerprint")})
