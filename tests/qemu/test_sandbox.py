"""What a program finds when it looks around in the sandbox. Each test runs a real one."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stillframe.errors import InvalidInputError, ToolFailedError
from stillframe.qemu.host import detect_sandbox, host_sandbox
from stillframe.qemu.runner import Completed, ToolPolicy, run_tool
from stillframe.qemu.sandbox import Access, Limits, Sandbox, SandboxKind, wrap_machine, wrap_tool

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
ROOT = Sandbox(kind=SandboxKind.ROOT_BUBBLEWRAP, is_root=True, uid=65534, gid=65534)
PLAIN = Sandbox(kind=SandboxKind.LIMITS_ONLY, is_root=os.geteuid() == 0, uid=65534, gid=65534)
ANY = pytest.mark.parametrize("sandbox", [None, PLAIN], ids=["best of the host", "limits only"])


@pytest.fixture
async def isolated() -> None:
    if not (await host_sandbox()).isolates_files:
        pytest.skip("this host allows no namespaces")


async def shell(
    script: str, *, sandbox: Sandbox | None = None, readable: tuple[Path, ...] = (), writable: tuple[Path, ...] = ()
) -> Completed:
    return await run_tool(
        ["sh", "-c", script],
        policy=ToolPolicy(readable=readable, writable=writable),
        timeout_s=20,
        ok_codes=tuple(range(256)),
        sandbox=sandbox,
    )


@pytest.mark.usefixtures("isolated")
async def test_neither_system_secrets_nor_other_files_of_ours_are_there(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.write_text("mine")
    other.write_text("other")
    done = await shell(f"cat {mine}; cat {other} /etc/shadow /etc/passwd; ls /home /proc /work", readable=(mine,))
    assert done.stdout == b"mine"
    assert done.stderr.count("No such file or directory") == 6, done.stderr


@pytest.mark.usefixtures("isolated")
async def test_a_read_only_layer_cannot_be_changed_even_by_its_owner(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    layer.write_text("sealed")
    layer.chmod(0o666)
    done = await shell(f"echo changed > {layer}; rm -f {layer}; chmod 777 {layer}", readable=(layer,))
    assert done.stderr.count("Read-only file system") >= 2
    assert layer.read_text() == "sealed"
    assert layer.stat().st_mode & 0o777 == 0o666


async def test_the_writable_file_can_be_written_and_is_ours_again_afterwards(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.touch(0o600)
    await shell(f"echo done > {disk}", writable=(disk,))
    assert disk.read_text() == "done\n"
    assert (disk.stat().st_uid, disk.stat().st_mode & 0o777) == (os.geteuid(), 0o600)


async def test_the_writable_file_is_ours_again_after_a_failure(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.touch(0o600)
    with pytest.raises(ToolFailedError):
        await run_tool(["false"], policy=ToolPolicy(writable=(disk,)), timeout_s=5)
    assert disk.stat().st_uid == os.geteuid()


@as_root
@pytest.mark.usefixtures("isolated")
async def test_the_program_is_not_root_and_cannot_become_it() -> None:
    done = await shell("id -u; id -g; id -G; setpriv --dump; su -c true")
    assert done.stdout.startswith(b"65534\n65534\n65534\n")
    for line in (b"Inheritable capabilities: [none]", b"Capability bounding set: [none]", b"no_new_privs: 1"):
        assert line in done.stdout
    assert done.returncode != 0


@ANY
async def test_nothing_runs_with_privileges(sandbox: Sandbox | None) -> None:
    done = await shell("setpriv --dump", sandbox=sandbox)
    assert b"no_new_privs: 1" in done.stdout
    if os.geteuid() == 0:
        assert b"Capability bounding set: [none]" in done.stdout


@pytest.mark.usefixtures("isolated")
async def test_a_tool_has_no_network() -> None:
    connect = "import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = connect.format(port=server.getsockname()[1])
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script], check=True)
        done = await shell(f'/usr/bin/python3 -c "{script}"')
    assert "ConnectionRefusedError" in done.stderr or "Network is unreachable" in done.stderr


@pytest.mark.usefixtures("isolated")
async def test_a_tool_sees_no_process_but_its_own() -> None:
    done = await shell(f"kill -0 {os.getpid()}")
    assert "No such process" in done.stderr


@ANY
async def test_limits_hold(sandbox: Sandbox | None, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.touch(0o600)
    done = await run_tool(
        ["sh", "-c", f"ulimit -c; ulimit -t; ulimit -v; head -c 5000000 /dev/zero > {disk}"],
        policy=ToolPolicy(writable=(disk,), cpu_s=7, address_space_bytes=1024**3, file_size_bytes=1000_000),
        timeout_s=20,
        ok_codes=tuple(range(256)),
        sandbox=sandbox,
    )
    assert done.stdout == b"0\n7\n1048576\n"
    assert disk.stat().st_size == 1000_000


def test_tools_die_with_us_and_machines_do_not() -> None:
    assert "--die-with-parent" in wrap_tool(ROOT, ["x"], Access(), Limits())
    assert "--die-with-parent" not in wrap_machine(ROOT, ["x"], Access(), Limits())
    assert "--pdeathsig" in wrap_tool(PLAIN, ["x"], Access(), Limits())
    assert "--pdeathsig" not in wrap_machine(PLAIN, ["x"], Access(), Limits())


def test_only_who_asks_for_the_network_gets_it() -> None:
    assert "--unshare-net" in wrap_machine(ROOT, ["x"], Access(), Limits())
    assert "--unshare-net" not in wrap_machine(ROOT, ["x"], Access(network=True), Limits())


async def test_a_user_who_does_not_exist_and_root_are_refused() -> None:
    for name in ("no-such-user-here", "root"):
        with pytest.raises(InvalidInputError):
            await detect_sandbox(name)


async def test_a_host_without_bubblewrap_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = await detect_sandbox("nobody")
    assert (found.kind, found.reason) == (SandboxKind.LIMITS_ONLY, "bubblewrap is not installed")


@as_root
def test_a_user_who_is_not_root_gets_a_sandbox_too(tmp_path: Path) -> None:
    """Runs the same code as an ordinary user: in a user namespace where the host allows it, else with limits only."""
    script = (
        "import asyncio; from stillframe.qemu.host import host_sandbox; from stillframe.qemu.runner import *;"
        "print(asyncio.run(host_sandbox()).kind.name);"
        "print(asyncio.run(run_tool(['qemu-img', '--version'], policy=ToolPolicy(), timeout_s=20)).returncode)"
    )
    source = Path(__file__).parents[2] / "src"
    packages = Path(msgspec_file()).parents[1]
    become = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{source}:{packages}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*become, "/usr/bin/python3", "-c", script],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if "Permission denied" in done.stderr or "ModuleNotFoundError" in done.stderr:
        pytest.skip("this checkout cannot be read by others")
    kind, code = done.stdout.split()
    assert kind in {"USER_BUBBLEWRAP", "LIMITS_ONLY"}
    assert code == "0", done.stderr


def msgspec_file() -> str:
    import msgspec  # noqa: PLC0415 - asked only where it was installed

    return str(msgspec.__file__)
