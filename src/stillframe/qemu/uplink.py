"""The way out of the host for machines: QEMU's network stack in user mode, in a process without a machine.

The switch speaks to it as to a card. It is the one program that has both the host's network and packets of guests to
read, so it is a process of its own, in the sandbox of a tool, and ends with the worker.
"""

import subprocess
from collections.abc import Iterable
from logging import getLogger
from pathlib import Path
from typing import Any

from stillframe.qemu import qmp, sockets
from stillframe.qemu.machine_argv import PROGRAM
from stillframe.qemu.sandbox import MINIMAL_ENVIRONMENT, Access, Limits, Sandbox, wrap_tool

log = getLogger("stillframe.qemu")

NIC_SOCKET = "uplink.sock"
_NETDEV = "outside"
_DATA_BYTES = 512 * 1024**2


def build_argv(nic: int, control: int, network: str, host: str, name_server: str) -> list[str]:
    """Both sockets are inherited, listening."""
    stack = f"user,id={_NETDEV},net={network},host={host},dns={name_server},ipv6=off"
    return [
        *(PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none"),
        *("-machine", "none", "-m", "1M", "-accel", "tcg,tb-size=1"),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
        *("-chardev", f"socket,id=qmp0,fd={control},server=on,wait=off", "-mon", "chardev=qmp0,mode=control"),
        *("-netdev", stack, "-netdev", f"stream,id=switch,server=on,addr.type=fd,addr.str={nic}"),
        *("-netdev", f"hubport,id=port0,hubid=0,netdev={_NETDEV}", "-netdev", "hubport,id=port1,hubid=0,netdev=switch"),
    ]


def start(run_dir: Path, sandbox: Sandbox, network: str, host: str, name_server: str) -> subprocess.Popen[bytes]:
    """`run_dir` is a private directory of its own."""
    with sockets.listen(run_dir, NIC_SOCKET) as nic, sockets.listen(run_dir, sockets.QMP_SOCKET) as control:
        argv = build_argv(nic.fileno(), control.fileno(), network, host, name_server)
        return subprocess.Popen(
            wrap_tool(sandbox, argv, Access(network=True), Limits(data_bytes=_DATA_BYTES)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=MINIMAL_ENVIRONMENT,
            pass_fds=(nic.fileno(), control.fileno()),
            start_new_session=True,
        )


async def change_forwards(run_dir: Path, *, remove: Iterable[str], add: Iterable[tuple[str, str]]) -> set[str]:
    """Host sides are `tcp:127.0.0.1:22`, guest sides `10.0.0.5:22`. Those of `add` that could be listened on.

    Raises: UnavailableError, ToolFailedError when the stack does not answer.
    """
    done = set()
    async with qmp.connected(run_dir) as client:
        for host_side in remove:
            await _say(client, f"hostfwd_remove {_NETDEV} {host_side}")
        for host_side, guest_side in add:
            said = await _say(client, f"hostfwd_add {_NETDEV} {host_side}-{guest_side}")
            if said:
                log.info("%s is not to be had: %s", host_side, said)
            else:
                done.add(host_side)
    return done


async def _say(client: Any, command: str) -> str:
    """There is no QMP command for it."""
    return str(await client.execute("human-monitor-command", {"command-line": command})).strip()
