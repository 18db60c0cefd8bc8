"""Real machines. Their guest is a boot sector, so that a test takes a fraction of a second."""

import asyncio
import contextlib
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from stillframe.errors import ConflictError, ToolFailedError, UnavailableError
from stillframe.qemu import img, machine, qmp
from stillframe.qemu.console import CONSOLE_LOG
from stillframe.qemu.host import host_sandbox
from stillframe.qemu.machine import DiskSpec, Firmware, MachineSpec, NicSpec, RunningMachine, StoppedBy
from stillframe.qemu.model import Chain, ChainLink
from stillframe.qemu.processes import start_time_ticks
from stillframe.qemu.sandbox import Sandbox, SandboxKind
from tests.qemu.disks import MIB, tool, write_pattern
from tests.qemu.guests import boot_sector, bootable_disk

pytestmark = pytest.mark.boot

MakeSpec = Callable[..., MachineSpec]


@pytest.fixture
async def make_spec(tmp_path: Path) -> AsyncIterator[MakeSpec]:
    """A machine's spec in a directory of its own; what runs of it in the end is killed."""
    made: list[MachineSpec] = []

    def make(chain: Chain, **changes: object) -> MachineSpec:
        server_id = str(uuid.uuid4())
        # Longer than any socket path may be.
        run_dir = tmp_path / ("long" * 30) / server_id
        run_dir.mkdir(parents=True, mode=0o700)
        values: dict[str, object] = {
            "server_id": server_id,
            "run_dir": run_dir,
            "memory_mib": 64,
            "vcpus": 1,
            "disks": (DiskSpec(chain=chain, device_index=0, serial=server_id[:20]),),
            "accelerator": "tcg",
            "nics": (NicSpec(port_id=str(uuid.uuid4()), mac="fa:16:3e:00:00:01"),),
        }
        made.append(MachineSpec(**{**values, **changes}))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for spec in made:
        if left := await machine.find(spec.run_dir, spec.server_id):
            await machine.kill(left)


async def guest_chain(directory: Path, **traits: bool) -> Chain:
    """An overlay on a disk that boots."""
    base = ChainLink(bootable_disk(directory / "base.qcow2", boot_sector("guest is up", **traits)), "qcow2")
    top = ChainLink(directory / "top.qcow2", "qcow2")
    await img.create_overlay(top.path, (base,), 16 * MIB)
    return (top, base)


def process_status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def uefi_is_installed() -> bool:
    return Path("/usr/share/OVMF").exists()


def entries(directory: str) -> set[str]:
    return {entry.name for entry in Path(directory).iterdir()}


def namespaces(pid: int) -> set[str]:
    return {str(Path(f"/proc/{pid}/ns/{kind}").readlink()) for kind in ("net", "pid", "mnt", "ipc")}


async def said(run_dir: Path, text: str, times: int = 1) -> None:
    async with asyncio.timeout(20):
        while (await machine.read_console(run_dir)).count(text) < times:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)


async def test_a_machine_boots_its_disk_and_obeys_the_power_button(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(await guest_chain(tmp_path))
    running = await machine.start(spec)
    await said(spec.run_dir, "guest is up")
    assert await machine.find(spec.run_dir, spec.server_id) == running
    assert await machine.stop(running, 20) is StoppedBy.GUEST
    assert await machine.find(spec.run_dir, spec.server_id) is None
    assert not machine.is_alive(running)


async def test_the_guest_writes_to_its_overlay_and_to_nothing_else(tmp_path: Path, make_spec: MakeSpec) -> None:
    chain = await guest_chain(tmp_path, writes=True)
    base_before = chain[1].path.read_bytes()
    spec = make_spec(chain)
    running = await machine.start(spec)
    await said(spec.run_dir, "guest is up")
    await machine.stop(running, 20)
    assert chain[1].path.read_bytes() == base_before
    flat = tmp_path / "flat.raw"
    await img.export(chain, flat, "raw")
    content = flat.read_bytes()
    assert content[512:1024] == content[:512]
    assert b"guest is up" in content[:512]
    assert (await img.check(chain[0])).is_sound


async def test_a_guest_that_ignores_the_power_button_is_ended(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(await guest_chain(tmp_path, obeys_power_button=False))
    running = await machine.start(spec)
    await said(spec.run_dir, "guest is up")
    assert await machine.stop(running, 0.3) is StoppedBy.QUIT
    assert not machine.is_alive(running)


async def test_a_machine_that_does_not_answer_is_killed(
    tmp_path: Path, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_QUIT_TIMEOUT_S", 0.3)
    spec = make_spec(await guest_chain(tmp_path))
    running = await machine.start(spec)
    os.kill(running.pid, 19)  # SIGSTOP
    assert await machine.stop(running, 0.3) is StoppedBy.KILL
    assert not machine.is_alive(running)


async def test_a_guest_asked_too_early_is_asked_again(
    tmp_path: Path, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_POWER_BUTTON_INTERVAL_S", 0.5)
    running = await machine.start(make_spec(await guest_chain(tmp_path)))
    assert await machine.stop(running, 20) is StoppedBy.GUEST


async def test_a_reset_starts_the_guest_anew_in_the_same_process(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(await guest_chain(tmp_path))
    running = await machine.start(spec)
    await said(spec.run_dir, "guest is up")
    await machine.reset(running)
    await said(spec.run_dir, "guest is up", times=2)
    assert machine.is_alive(running)


async def test_a_machine_runs_without_rights_and_without_our_files(tmp_path: Path, make_spec: MakeSpec) -> None:
    running = await machine.start(make_spec(await guest_chain(tmp_path)))
    fields = process_status(running.pid)
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"
    assert {int(fields[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0} or os.geteuid() != 0
    if os.geteuid() == 0:
        assert "0" not in fields["Uid"].split()
        assert fields["Groups"].strip() == ""
    if (await host_sandbox()).isolates_files:
        found = entries(f"/proc/{running.pid}/root")
        assert found <= {"usr", "bin", "sbin", "lib", "lib64", "etc", "dev", "tmp"}
        assert entries(f"/proc/{running.pid}/root/tmp") == set()
        assert namespaces(running.pid).isdisjoint(namespaces(os.getpid()))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_a_machine_has_no_rights_even_without_bubblewrap(
    tmp_path: Path, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def plain() -> Sandbox:
        return Sandbox(kind=SandboxKind.LIMITS_ONLY, is_root=True, uid=65534, gid=65534)

    monkeypatch.setattr(machine, "host_sandbox", plain)
    spec = make_spec(await guest_chain(tmp_path))
    running = await machine.start(spec)
    await said(spec.run_dir, "guest is up")
    fields = process_status(running.pid)
    assert (fields["Uid"].split(), int(fields["CapEff"], 16), fields["NoNewPrivs"]) == (["65534"] * 4, 0, "1")
    assert await machine.stop(running, 20) is StoppedBy.GUEST
    assert await machine.find(spec.run_dir, spec.server_id) is None


async def test_the_disks_of_a_running_machine_cannot_be_changed_by_a_tool(tmp_path: Path, make_spec: MakeSpec) -> None:
    chain = await guest_chain(tmp_path)
    spec = make_spec(chain)
    running = await machine.start(spec)
    await said(spec.run_dir, "guest is up")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        tool("qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "", str(chain[0].path))
    assert 'Failed to get "write" lock' in failed.value.stderr
    assert (await img.info(chain[0], force_share=True)).backing_file == "base.qcow2"
    out = ChainLink(tmp_path / "copy.qcow2", "qcow2")
    await img.consolidate(chain[1:], out.path)  # the layer below is shared by all
    await machine.stop(running, 20)


async def test_two_machines_share_a_layer_and_not_a_disk(tmp_path: Path, make_spec: MakeSpec) -> None:
    chain = await guest_chain(tmp_path)
    other = ChainLink(tmp_path / "other.qcow2", "qcow2")
    await img.create_overlay(other.path, chain[1:], 16 * MIB)
    await machine.start(make_spec(chain))
    second = make_spec((other, chain[1]))
    await machine.start(second)
    await said(second.run_dir, "guest is up")
    with pytest.raises(ToolFailedError) as failed:
        await machine.start(make_spec(chain))
    assert 'Failed to get "write" lock' in str(failed.value.cause)


async def test_a_machine_that_cannot_start_says_why_and_leaves_nothing(tmp_path: Path, make_spec: MakeSpec) -> None:
    noise = ChainLink(tmp_path / "noise.qcow2", "qcow2")
    noise.path.write_bytes(b"no qcow2 at all" * 1000)
    spec = make_spec((noise,))
    with pytest.raises(ToolFailedError) as failed:
        await machine.start(spec)
    assert "Image is not in qcow2 format" in str(failed.value.cause)
    assert failed.value.message == "The machine could not be started."
    assert await machine.find(spec.run_dir, spec.server_id) is None


async def test_a_missing_disk_is_said_so(tmp_path: Path, make_spec: MakeSpec) -> None:
    with pytest.raises(ToolFailedError) as failed:
        await machine.start(make_spec((ChainLink(tmp_path / "gone.qcow2", "qcow2"),)))
    assert "gone.qcow2" in str(failed.value.cause)


async def test_a_machine_is_started_once(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(await guest_chain(tmp_path))
    await machine.start(spec)
    with pytest.raises(ConflictError):
        await machine.start(spec)


async def test_a_cancelled_start_leaves_no_machine(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(await guest_chain(tmp_path))
    starting = asyncio.create_task(machine.start(spec))
    await asyncio.sleep(0.01)
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
    assert await machine.find(spec.run_dir, spec.server_id) is None


async def test_a_machine_outlives_who_started_it_and_is_found_again(tmp_path: Path, make_spec: MakeSpec) -> None:
    """Even where the worker was killed before it could note the pid down."""
    spec = make_spec(await guest_chain(tmp_path))
    script = (
        "import asyncio, sys, time; from pathlib import Path\n"
        "from stillframe.qemu.machine import *; from stillframe.qemu.model import ChainLink\n"
        "server_id, run_dir, top, base = sys.argv[1:]\n"
        "chain = (ChainLink(Path(top), 'qcow2'), ChainLink(Path(base), 'qcow2'))\n"
        "asyncio.run(start(MachineSpec(server_id=server_id, run_dir=Path(run_dir), memory_mib=64, vcpus=1,\n"
        "    disks=(DiskSpec(chain=chain, device_index=0),), accelerator='tcg')))\n"
        "print('started', flush=True); time.sleep(60)\n"
    )
    paths = [str(link.path) for link in spec.disks[0].chain]
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, spec.server_id, str(spec.run_dir), *paths), stdout=subprocess.PIPE
    )
    assert worker.stdout is not None
    assert await worker.stdout.readline() == b"started\n"
    worker.kill()
    await worker.wait()
    (spec.run_dir / "machine.json").unlink()
    found = await machine.find(spec.run_dir, spec.server_id)
    assert found is not None
    await said(spec.run_dir, "guest is up")
    assert await machine.stop(found, 20) is StoppedBy.GUEST


async def test_another_process_with_the_same_pid_is_not_taken_for_it(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(await guest_chain(tmp_path))
    running = await machine.start(spec)
    await machine.kill(running)
    ours = start_time_ticks(os.getpid())
    assert ours is not None
    for ticks in (ours, ours + 1):
        impostor = RunningMachine(
            server_id=spec.server_id, run_dir=spec.run_dir, pid=os.getpid(), start_time_ticks=ticks
        )
        assert not machine.is_alive(impostor)
        await machine.kill(impostor)  # or this test would not live to see its end
    assert await machine.find(spec.run_dir, spec.server_id) is None


async def test_a_guest_that_powers_off_by_itself_is_noticed(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(await guest_chain(tmp_path))
    running = await machine.start(spec)
    await said(spec.run_dir, "guest is up")
    assert not await machine.wait_exit(running, 0.05)
    waiting = asyncio.create_task(machine.wait_exit(running, 20))
    await machine.press_power_button(running)
    assert await waiting


async def test_the_control_socket_reports_state_and_events(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(await guest_chain(tmp_path))
    await machine.start(spec)
    async with qmp.connected(spec.run_dir) as client:
        assert await client.query_status() == "running"
        with client.events("RESET") as listener:
            await client.reset()
            assert (await listener.get())["event"] == "RESET"
        with pytest.raises(ToolFailedError):
            await client.execute("no-such-command")


async def test_a_machine_that_does_not_run_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        async with qmp.connected(tmp_path):
            pass
    with pytest.raises(UnavailableError):
        await machine.connect_console(tmp_path)


async def test_a_second_client_of_the_control_socket_waits_its_turn(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(await guest_chain(tmp_path))
    await machine.start(spec)
    async with qmp.connected(spec.run_dir):
        with pytest.raises(UnavailableError):
            async with qmp.connected(spec.run_dir, timeout_s=0.2):
                pass
        assert await machine.find(spec.run_dir, spec.server_id)
    async with qmp.connected(spec.run_dir) as client:
        assert await client.query_status() == "running"


async def test_the_console_log_can_be_cut_while_the_guest_talks(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(await guest_chain(tmp_path))
    running = await machine.start(spec)
    for times in range(1, 4):
        await said(spec.run_dir, "guest is up", times)
        await machine.reset(running)
    await said(spec.run_dir, "guest is up", 4)
    before = (spec.run_dir / CONSOLE_LOG).stat().st_size
    await machine.trim_logs(spec.run_dir, 40)
    assert (spec.run_dir / CONSOLE_LOG).stat().st_size <= 20 < before
    await machine.reset(running)
    await said(spec.run_dir, "guest is up")
    assert b"\0" not in (spec.run_dir / CONSOLE_LOG).read_bytes()


async def test_the_console_can_be_listened_to(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(await guest_chain(tmp_path))
    running = await machine.start(spec)
    await said(spec.run_dir, "guest is up")
    with await machine.connect_console(spec.run_dir) as console:
        await machine.reset(running)
        heard = b""
        async with asyncio.timeout(20):
            while b"guest is up" not in heard:
                heard += await asyncio.get_running_loop().sock_recv(console, 1000)


async def test_data_disks_and_a_config_drive_are_there(tmp_path: Path, make_spec: MakeSpec) -> None:
    chain = await guest_chain(tmp_path)
    data = ChainLink(tmp_path / "data.qcow2", "qcow2")
    await img.create_blank(data.path, 4 * MIB)
    write_pattern(data.path, 3, "0", "1M")
    drive = tmp_path / "drive.iso"
    drive.write_bytes(bytes(MIB))
    disks = (DiskSpec(chain=chain, device_index=0), DiskSpec(chain=(data,), device_index=1))
    nics = tuple(
        NicSpec(port_id=str(uuid.uuid4()), mac=f"fa:16:3e:00:00:0{number}", device_index=number) for number in range(2)
    )
    spec = make_spec(chain, disks=disks, config_drive=drive, cdrom=drive, nics=nics, vcpus=4, memory_mib=512)
    await machine.start(spec)
    async with qmp.connected(spec.run_dir) as client:
        found = {
            entry["inserted"]["node-name"]: entry["inserted"]["ro"] for entry in await client.execute("query-block")
        }
    assert found == {"disk0": False, "disk1": False, "config-drive": True, "cdrom": True}


async def test_uefi_runs_where_it_is_installed_and_is_named_where_not(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(await guest_chain(tmp_path), firmware=Firmware.UEFI, memory_mib=256)
    if uefi_is_installed():
        running = await machine.start(spec)
        assert (spec.run_dir / "uefi-vars.fd").exists()
        assert await machine.stop(running, 0.1)
    else:
        with pytest.raises(UnavailableError, match="ovmf"):
            await machine.start(spec)
