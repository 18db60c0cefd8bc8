"""KVM or TCG, decided by running a guest under each.

A /dev/kvm that opens proves nothing: there are hosts (nested, or with a broken module) where the device is there, QEMU
starts, and an operating system never gets anywhere. (Seen: one whose guests execute in real mode and hang as soon as
they enter long mode.) So the guest here goes into long mode, counts, and has to reach an exit code of its own, in time.
"""

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

import msgspec
import platformdirs

from stillframe.errors import StillframeError, ToolFailedError, UnavailableError
from stillframe.qemu.machine_argv import PROGRAM
from stillframe.qemu.machine_spec import AcceleratorKind
from stillframe.qemu.runner import ToolPolicy, run_tool
from stillframe.qemu.sandbox import kvm_access

DEADLINE_S = 3.0
"""Ten times what the guest takes under either on a busy machine."""

TRY_KVM_AGAIN_S = 3600.0

_KVM = Path("/dev/kvm")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_VERSION = re.compile(rb"version (\d+\.\d+(?:\.\d+)?)")

# probe_guest.S, assembled: code near the end of the firmware, and a jump to it where a processor starts.
_CODE = bytes.fromhex(
    "fa2e660f0116b0ff0f20c00c010f22c066ea18ffffff0800b8100000008ed8c7050010000003200000c7050020000003300000c7"
    "051820000003400000c7050030000083000000c705f84f00008300e0ffb8200000000f22e0b8001000000f22d8b9800000c00f32"
    "0d000100000f300f20c00d000000800f22c0ea81ffffff1800b9002d3101ffc975fcb010e6f4f4900000000000000000ffff0000"
    "009bcf00ffff00000093cf00ffff0000009baf001f0090ffffff"
)
_FIRMWARE = bytes(0xFF00) + _CODE.ljust(0xF0, b"\0") + bytes.fromhex("e90dff").ljust(16, b"\0")
_EXIT_CODE = 33

_chosen: list[AcceleratorKind] = []


class Accelerator(msgspec.Struct, frozen=True, kw_only=True):
    """`reason` is a sentence for people: why this one."""

    kind: AcceleratorKind
    reason: str
    qemu_version: str


class _Proof(msgspec.Struct, frozen=True, kw_only=True):
    host: str
    kind: AcceleratorKind
    at: float
    """Seconds since the epoch."""


async def choose() -> AcceleratorKind:
    """What machines of this host run under, found out on first use and kept by this process.

    It is kept for other processes, too, until the host starts anew or changes its QEMU or /dev/kvm: a host on which KVM
    gets nowhere takes seconds of a processor to say so.

    Raises: as `probe_accelerator`.
    """
    if not _chosen:
        path, host = platformdirs.user_cache_path("stillframe") / "accelerator.json", _host()
        kind = _kept(path, host)
        if kind is None:
            kind = (await probe_accelerator()).kind
            _keep(path, _Proof(host=host, kind=kind, at=time.time()))
        _chosen.append(kind)
    return _chosen[0]


def _host() -> str:
    """All that the answer depends on."""
    program = shutil.which(PROGRAM) or ""
    facts: list[object] = [program, os.geteuid()]
    with contextlib.suppress(OSError):
        facts.append(_BOOT_ID.read_text().strip())
    for path in (Path(program), _KVM):
        with contextlib.suppress(OSError):
            found = path.stat()
            facts += [found.st_mode, found.st_uid, found.st_gid, found.st_ctime_ns]
    return " ".join(map(str, facts))


def _kept(path: Path, host: str) -> AcceleratorKind | None:
    try:
        proof = msgspec.json.decode(path.read_bytes(), type=_Proof)
    except (OSError, msgspec.MsgspecError):
        return None
    # KVM may have got nowhere in time because the host was very busy.
    is_doubtful = proof.kind == "tcg" and _KVM.exists() and not 0 <= time.time() - proof.at < TRY_KVM_AGAIN_S
    return None if proof.host != host or is_doubtful else proof.kind


def _keep(path: Path, proof: _Proof) -> None:
    """Whatever is wrong with the file, it only costs another proof."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.write_bytes(msgspec.json.encode(proof))
        partial.replace(path)


async def probe_accelerator(deadline_s: float = DEADLINE_S) -> Accelerator:
    """Runs the guest under KVM and under TCG at the same time; KVM is taken if it gets through within the deadline.

    Raises: UnavailableError if QEMU is missing or runs no guest at all.
    """
    if shutil.which(PROGRAM) is None:
        raise UnavailableError(f"{PROGRAM} is not installed.")
    version = await _qemu_version()
    with tempfile.TemporaryDirectory(prefix="stillframe-probe-") as scratch:
        firmware = _write_firmware(Path(scratch))
        # Emulation gets longer: it may have to share the processor with a KVM guest that only spins.
        emulated = asyncio.create_task(_problem_with("tcg", firmware, deadline_s + 10))
        try:
            started = time.monotonic()
            kvm_problem = await _problem_with("kvm", firmware, deadline_s)
            took_s = time.monotonic() - started
            tcg_problem = "" if not kvm_problem else await emulated
        finally:
            emulated.cancel()
            await asyncio.wait({emulated})
    if not kvm_problem:
        return Accelerator(kind="kvm", reason=f"KVM ran a guest in {took_s:.2f} s", qemu_version=version)
    if tcg_problem:
        raise UnavailableError("QEMU cannot run any guest on this host.", cause=tcg_problem)
    return Accelerator(kind="tcg", reason=f"emulated: {kvm_problem}", qemu_version=version)


async def _problem_with(kind: AcceleratorKind, firmware: Path, deadline_s: float) -> str:
    """Why no guest runs under it; empty if one did."""
    access = kvm_access()
    if kind == "kvm" and not access.devices:
        return f"there is no {_KVM}"
    policy = ToolPolicy(
        readable=(firmware,), devices=access.devices, groups=access.groups, address_space_bytes=None, cpu_s=60
    )
    started = time.monotonic()
    try:
        await run_tool(_probe_argv(kind, firmware), policy=policy, timeout_s=deadline_s, ok_codes=(_EXIT_CODE,))
    except ToolFailedError as error:
        if time.monotonic() - started >= deadline_s:
            return f"a guest under {kind.upper()} got nowhere in {deadline_s:.0f} s"
        return str(error.cause)
    except StillframeError as error:
        return error.message
    return ""


def _write_firmware(directory: Path) -> Path:
    path = directory / "firmware"
    path.write_bytes(_FIRMWARE)
    return path


def _probe_argv(kind: AcceleratorKind, firmware: Path) -> list[str]:
    bare = ["-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none", "-m", "16M", "-machine", "pc"]
    accelerator = "kvm" if kind == "kvm" else "tcg,tb-size=16"
    return [
        PROGRAM,
        *bare,
        "-accel",
        accelerator,
        "-bios",
        str(firmware),
        "-device",
        "isa-debug-exit,iobase=0xf4,iosize=4",
    ]


async def _qemu_version() -> str:
    try:
        done = await run_tool([PROGRAM, "--version"], policy=ToolPolicy(address_space_bytes=None), timeout_s=10)
    except ToolFailedError as error:
        raise UnavailableError(f"{PROGRAM} does not run.", cause=error.cause) from error
    found = _VERSION.search(done.stdout)
    return found[1].decode() if found else "unknown"
