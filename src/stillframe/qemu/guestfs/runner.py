"""One run of the program in `inside` on one disk."""

import asyncio
from pathlib import Path

import msgspec

import stillframe
from stillframe.errors import GuestDiskUnreadableError, GuestToolsMissingError, ToolFailedError
from stillframe.guest import default_cache_dir
from stillframe.guest.appliance import PACKAGE, PYTHON, appliance, is_installed
from stillframe.qemu import accelerator
from stillframe.qemu.graph import json_filename
from stillframe.qemu.guestfs.model import Inspection, Preparation
from stillframe.qemu.model import Chain
from stillframe.qemu.runner import ToolPolicy, run_tool
from stillframe.qemu.sandbox import GIB, kvm_access

INSPECT_TIMEOUT_S = 600.0
PREPARE_TIMEOUT_S = 3600.0
"""Looking takes 10 s under emulation on an idle machine; a guest's own program may have to make an initramfs anew."""

_SOURCES = Path(stillframe.__file__).parent.parent
_PACKAGE = Path(__file__).parent


async def inspect_guest(chain: Chain) -> Inspection:
    """Only reads the disk.

    Raises: GuestToolsMissingError; GuestDiskUnreadableError.
    """
    return (await _run("inspect", chain, INSPECT_TIMEOUT_S)).inspection


async def prepare_guest(chain: Chain) -> Preparation:
    """Changes the top file of the chain, which nobody else may have open; durable on return. Safe to repeat.

    Raises: GuestToolsMissingError; GuestDiskUnreadableError, after which the top file is worth nothing.
    """
    return await _run("prepare", chain, PREPARE_TIMEOUT_S)


async def guest_tools() -> Path:
    """The appliance's directory; built first where it is missing.

    Raises: GuestToolsMissingError, and what building it raises.
    """
    if not await asyncio.to_thread(is_installed):
        raise GuestToolsMissingError(f"Install the Debian package {PACKAGE} (libguestfs) on the host.")
    return await asyncio.to_thread(appliance, default_cache_dir())


async def _run(action: str, chain: Chain, timeout_s: float) -> Preparation:
    system = await guest_tools()
    writable = action == "prepare"
    files = tuple(link.path for link in chain)
    emulated = await accelerator.choose() == "tcg"
    access = kvm_access()
    policy = ToolPolicy(
        readable=(*(files[1:] if writable else files), *_program(), *sorted(system.iterdir())),
        writable=files[:1] if writable else (),
        devices=() if emulated else access.devices,
        groups=() if emulated else access.groups,
        scratch_bytes=GIB,
        address_space_bytes=8 * GIB,
        niceness=10,
    )
    environment = [
        "LIBGUESTFS_BACKEND=direct",
        *(["LIBGUESTFS_BACKEND_SETTINGS=force_tcg"] if emulated else []),
        f"LIBGUESTFS_PATH={system}",
        f"PYTHONPATH={_SOURCES}",
    ]
    program = [
        PYTHON,
        "-B",
        "-m",
        "stillframe.qemu.guestfs.inside",
        action,
        json_filename(chain, writable_files=int(writable)),
    ]
    try:
        done = await run_tool(["env", *environment, *program], policy=policy, timeout_s=timeout_s)
        return msgspec.json.decode(done.stdout, type=Preparation)
    except (ToolFailedError, msgspec.MsgspecError) as error:
        raise GuestDiskUnreadableError(cause=getattr(error, "cause", error)) from error


def _program() -> tuple[Path, ...]:
    """Every file that Python reads on the way to the program; nothing else of ours is in the sandbox."""
    packages = [_SOURCES / "stillframe", _SOURCES / "stillframe/qemu", _PACKAGE]
    return (*(package / "__init__.py" for package in packages), *sorted((_PACKAGE / "inside").glob("*.py")))
