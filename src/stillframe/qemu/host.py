"""Which sandbox this host can give. It is tried, not guessed: containers forbid namespaces in many ways."""

import asyncio
import os
import pwd
import shutil

from stillframe.errors import InvalidInputError
from stillframe.qemu.sandbox import Access, Limits, Sandbox, SandboxKind, wrap_tool

_TRIAL_TIMEOUT_S = 10.0
_found: dict[str, Sandbox] = {}
_user = "nobody"


def choose_machine_user(name_or_uid: str) -> None:
    """Says once, when a process starts, as whom programs run where we are root."""
    global _user  # noqa: PLW0603 - a fact about the process, like its umask
    _ids(name_or_uid)
    _user = name_or_uid


async def host_sandbox() -> Sandbox:
    """The best this host gives, found out on first use and kept."""
    if _user not in _found:
        _found[_user] = await detect_sandbox(_user)
    return _found[_user]


async def detect_sandbox(machine_user: str) -> Sandbox:
    """Tries them from the strictest down.

    Raises: InvalidInputError for a user this host does not have.
    """
    if os.geteuid() == 0:
        uid, gid = _ids(machine_user)
        best = Sandbox(kind=SandboxKind.ROOT_BUBBLEWRAP, is_root=True, uid=uid, gid=gid)
        plain = Sandbox(kind=SandboxKind.LIMITS_ONLY, is_root=True, uid=uid, gid=gid)
    else:
        uid, gid = os.geteuid(), os.getegid()
        best = Sandbox(kind=SandboxKind.USER_BUBBLEWRAP, is_root=False, uid=uid, gid=gid)
        plain = Sandbox(kind=SandboxKind.LIMITS_ONLY, is_root=False, uid=uid, gid=gid)
    if shutil.which("bwrap") is None:
        return _because(plain, "bubblewrap is not installed")
    problem = await _problem_with(best)
    return _because(plain, problem) if problem else best


async def _problem_with(sandbox: Sandbox) -> str:
    argv = wrap_tool(sandbox, ["true"], Access(), Limits())
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(_TRIAL_TIMEOUT_S):
            _, stderr = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return "bubblewrap does not answer"
    return "" if process.returncode == 0 else stderr.decode(errors="replace").strip() or "bubblewrap fails"


def _because(sandbox: Sandbox, reason: str) -> Sandbox:
    return Sandbox(kind=sandbox.kind, is_root=sandbox.is_root, uid=sandbox.uid, gid=sandbox.gid, reason=reason)


def _ids(name_or_uid: str) -> tuple[int, int]:
    try:
        if name_or_uid.isdecimal():
            uid = int(name_or_uid)
            return uid, uid
        entry = pwd.getpwnam(name_or_uid)
    except KeyError:
        raise InvalidInputError(f"There is no user {name_or_uid!r} on this host.", field="machine_user") from None
    if entry.pw_uid == 0:
        raise InvalidInputError("Machines do not run as root; name another machine_user.", field="machine_user")
    return entry.pw_uid, entry.pw_gid
