"""What a program we start may see and use, as the front part of its argv.

                       root, bubblewrap       not root, bubblewrap     limits only
  user                 `machine_user`         ours, in a user          machines: `machine_user` when we are root;
                                              namespace of its own     tools: ours, without any capability
  files                /usr, an empty /tmp and /dev, the named files   all that the user may
  processes            sees itself only                                all
  network              none, unless it is asked for                    the host's
  privileges           no capabilities, no_new_privs                   the same
  memory, CPU, ...     limited                                         limited

Tools (qemu-img) die with the process which started them: bubblewrap does, and its first process inside, and with that
the whole pid namespace. (A parent-death signal of the tool itself would not do: the kernel forgets it when the user
changes.) Machines do not die with us: they have a session of their own, and init adopts them. bubblewrap stays as the
parent of a machine and ends with it; killing that parent does not end the machine (no --die-with-parent here). A
machine is the first process of its pid namespace: it sees no other process, we see it under its ordinary pid.
"""

import enum
from pathlib import Path
from typing import Literal

import msgspec

_SYSTEM_DIRECTORIES = ("/bin", "/lib", "/lib64", "/sbin", "/etc/ld.so.cache")
_GIVE_WAY = ("nice", "-n", "5", "ionice", "-c", "2", "-n", "7")
_NO_CAPABILITIES = ("--inh-caps=-all", "--bounding-set=-all")

GIB = 1024**3

_KVM = Path("/dev/kvm")
_SCRATCH = Path("/tmp")  # noqa: S108 - the sandbox's own
MINIMAL_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


class SandboxKind(enum.StrEnum):
    ROOT_BUBBLEWRAP = "bubblewrap, as another user"
    USER_BUBBLEWRAP = "bubblewrap, in a user namespace"
    LIMITS_ONLY = "resource limits only"


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """What this host can give. `uid` and `gid` are those of the programs; `reason` is for `doctor`."""

    kind: SandboxKind
    is_root: bool
    uid: int
    gid: int
    reason: str = ""

    @property
    def isolates_files(self) -> bool:
        return self.kind is not SandboxKind.LIMITS_ONLY

    @property
    def changes_user_of_tools(self) -> bool:
        return self.kind is SandboxKind.ROOT_BUBBLEWRAP


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Resource limits; None leaves one as it is. There is never a core dump: it would hold a guest's memory."""

    address_space_bytes: int | None = None
    data_bytes: int | None = None
    cpu_s: int | None = None
    file_size_bytes: int | None = None
    open_files: int | None = 1024


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """The files a program may use besides the system's own, under the paths they have here."""

    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    devices: tuple[Path, ...] = ()
    network: bool = False
    groups: tuple[int, ...] = ()
    """Supplementary groups, such as the one which may open /dev/kvm."""
    scratch_bytes: int = 0
    """How much it may write to a /tmp of its own, which is memory; 0 means that it cannot write there."""


def kvm_access() -> Access:
    """The device, and the group which may open it. Everybody may use a device that is not there."""
    try:
        groups = (_KVM.stat().st_gid,)
    except OSError:
        return Access()
    return Access(devices=(_KVM,), groups=groups)


def wrap_tool(sandbox: Sandbox, argv: list[str], access: Access, limits: Limits, *, niceness: int = 0) -> list[str]:
    """A program which ends with the process that started it."""
    nice = ["nice", "-n", str(niceness), "--"] if niceness else []
    inner = [*_prlimit(limits), *nice, *argv]
    if sandbox.isolates_files:
        return [*_bubblewrap(sandbox, access), "--die-with-parent", "--", *_become(sandbox, access), *inner]
    privileges = _NO_CAPABILITIES if sandbox.is_root else ()
    return ["setpriv", "--no-new-privs", *privileges, "--pdeathsig", "KILL", "--", *inner]


def wrap_machine(sandbox: Sandbox, argv: list[str], access: Access, limits: Limits) -> list[str]:
    """A program which outlives us. Files opened for it are handed down, so that it needs no access to their paths.

    It gives way to the service, to whose processes it is a guest: a guest may keep all its processors busy for ever.
    """
    inner = [*_prlimit(limits), *_GIVE_WAY, *argv]
    if sandbox.isolates_files:
        return [*_bubblewrap(sandbox, access), "--as-pid-1", "--", *_become(sandbox, access), *inner]
    if sandbox.is_root:
        return [*_other_user(sandbox, access), *inner]
    return ["setpriv", "--no-new-privs", "--", *inner]


def _bubblewrap(sandbox: Sandbox, access: Access) -> list[str]:
    argv = ["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    if not access.network:
        argv.append("--unshare-net")
    if sandbox.kind is SandboxKind.USER_BUBBLEWRAP:
        argv += ["--unshare-user", "--disable-userns"]
    argv += ["--ro-bind", "/usr", "/usr", "--perms", "0755", "--dir", "/etc"]
    for directory in _SYSTEM_DIRECTORIES:
        argv += ["--ro-bind-try", directory, directory]
    if access.network:
        argv += ["--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf"]
    argv += ["--dev", "/dev", *_scratch(access)]
    argv += _directories(access.readable + access.writable)
    argv += _binds("--dev-bind", access.devices)
    argv += _binds("--ro-bind", access.readable)
    return [*argv, *_binds("--bind", access.writable), "--chdir", "/"]


def _scratch(access: Access) -> list[str]:
    size = ["--perms", "1777", "--size", str(access.scratch_bytes)] if access.scratch_bytes else []
    return [*size, "--tmpfs", str(_SCRATCH)]


def _directories(paths: tuple[Path, ...]) -> list[str]:
    """The directories above the files, made passable: bubblewrap would copy the modes of ours, which are private."""
    above = sorted({parent for path in paths for parent in path.parents} - {Path("/"), _SCRATCH})
    return [word for parent in above for word in ("--perms", "0755", "--dir", str(parent))]


def _binds(how: Literal["--bind", "--ro-bind", "--dev-bind"], paths: tuple[Path, ...]) -> list[str]:
    return [word for path in paths for word in (how, str(path), str(path))]


def _become(sandbox: Sandbox, access: Access) -> list[str]:
    return _other_user(sandbox, access) if sandbox.kind is SandboxKind.ROOT_BUBBLEWRAP else []


def _other_user(sandbox: Sandbox, access: Access) -> list[str]:
    groups = ["--groups", ",".join(map(str, access.groups))] if access.groups else ["--clear-groups"]
    who = ["--reuid", str(sandbox.uid), "--regid", str(sandbox.gid), *groups]
    return ["setpriv", *who, "--no-new-privs", *_NO_CAPABILITIES, "--"]


def _prlimit(limits: Limits) -> list[str]:
    values = {
        "as": limits.address_space_bytes,
        "data": limits.data_bytes,
        "cpu": limits.cpu_s,
        "fsize": limits.file_size_bytes,
        "nofile": limits.open_files,
    }
    return ["prlimit", "--core=0", *(f"--{name}={value}" for name, value in values.items() if value is not None), "--"]
