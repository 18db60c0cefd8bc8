"""Every path in the data directory comes from here.

<root>/                                  private (0700), as is every directory below
├── stillframe.db                        SQLite, with its -wal and -shm; absent on PostgreSQL
├── clouds.yaml  openrc                  credentials of the first accounts (0600)
├── keys/                                what tokens are signed with (files 0600)
├── layers/<layer>.qcow2|raw|iso         disk layers: written once under their final name, never renamed
├── staging/<job>.<attempt>/             unfinished work of one attempt of a job; goes when the attempt ends
├── machines/<server>/
│   ├── config-drive.iso
│   ├── console.log                      the serial console, bounded
│   └── machine.json                     what the worker needs to find a running machine again
├── obs/<project>/<bucket>/<key>         what the embedded S3 endpoint serves; a project sees its own folder only
├── cache/                               anything here can be made again
├── logs/<part>.log                      one per process of ours, bounded
└── run/                                 sockets and pid files; emptied when nothing runs (see `runtime_dir`)
    └── <part>.pid  <part>.sock

Ids are checked to be uuids before they become part of a path, so no text from a request ever does.
"""

import contextlib
import hashlib
import os
import re
import shutil
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from stillframe.errors import ForbiddenError, InvalidInputError

# A project or user id comes as 32 hex digits, any other id with dashes; both lower case, so one id is one path.
_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_PART = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)

# sockaddr_un holds 108 bytes with the closing zero; no name below run/ is longer than that of a part, "<part>.sock".
_MAX_SOCKET_PATH_BYTES = 107
_LONGEST_SOCKET_NAME_BYTES = 37


class DiskFormat(StrEnum):
    """The formats a disk file in `layers/` can have."""

    QCOW2 = "qcow2"
    RAW = "raw"
    ISO = "iso"


@dataclass(frozen=True, slots=True)
class DataLayout:
    """Names every file under one data directory; touches the disk only in `create`.

    Every method raises ValueError for an id which is no uuid: ids come from our own rows, so that is a bug of ours and
    not a caller's mistake.
    """

    root: Path

    def create(self) -> None:
        """Make the directories which are missing, private; those which exist keep their mode. Safe to repeat.

        Raises:
            InvalidInputError: `root` is relative.
            ForbiddenError: somebody else owns the place of the sockets.
        """
        if not self.root.is_absolute():
            raise InvalidInputError(f"The data directory {self.root} must be an absolute path.", field="data_dir")
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for directory in self._directories():
            directory.mkdir(mode=0o700, exist_ok=True)
        _refuse_foreign(self.runtime_dir)

    def empty_runtime_dir(self, last: str) -> None:
        """Called by the last who runs; `last` is the part whose pid file keeps others out, and goes after all else.

        The directory goes, too, where it is not below `root`, with which nobody would remove it.
        """
        lock = self.pid_file(last)
        with contextlib.suppress(OSError):
            for path in self.runtime_dir.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                elif path != lock:
                    path.unlink(missing_ok=True)
            lock.unlink(missing_ok=True)
            if self.runtime_dir.parent != self.root:
                self.runtime_dir.rmdir()

    def _directories(self) -> tuple[Path, ...]:
        return (
            self.keys_dir,
            self.layers_dir,
            self.staging_dir,
            self.machines_dir,
            self.obs_dir,
            self.cache_dir,
            self.logs_dir,
            self.runtime_dir,
        )

    @property
    def database(self) -> Path:
        return self.root / "stillframe.db"

    @property
    def clouds_yaml(self) -> Path:
        return self.root / "clouds.yaml"

    @property
    def openrc(self) -> Path:
        return self.root / "openrc"

    @property
    def keys_dir(self) -> Path:
        return self.root / "keys"

    @property
    def layers_dir(self) -> Path:
        return self.root / "layers"

    @property
    def staging_dir(self) -> Path:
        return self.root / "staging"

    @property
    def machines_dir(self) -> Path:
        return self.root / "machines"

    @property
    def obs_dir(self) -> Path:
        return self.root / "obs"

    @property
    def cache_dir(self) -> Path:
        return self.root / "cache"

    @property
    def logs_dir(self) -> Path:
        return self.root / "logs"

    @property
    def runtime_dir(self) -> Path:
        """Under `root`, or in /tmp where a socket under `root` would have a longer path than the kernel can bind.

        Only `root` decides, so that every process finds the same place whatever its environment says.
        """
        below_root = self.root / "run"
        if len(bytes(below_root)) + 1 + _LONGEST_SOCKET_NAME_BYTES <= _MAX_SOCKET_PATH_BYTES:
            return below_root
        name = hashlib.sha256(bytes(self.root)).hexdigest()[:16]
        return Path(f"/tmp/stillframe-{os.geteuid()}-{name}")  # noqa: S108 - `create` refuses one owned by another

    @property
    def obs_auth_socket(self) -> Path:
        return self.socket("obs-auth")

    def layer(self, layer_id: str, disk_format: DiskFormat) -> Path:
        return self.layers_dir / f"{_checked(layer_id)}.{DiskFormat(disk_format)}"

    def staging(self, job_id: str, attempt: int) -> Path:
        """A directory for one attempt of a job; the next attempt gets a new one, so no two ever write the same file."""
        return self.staging_dir / f"{_checked(job_id)}.{int(attempt)}"

    def machine_dir(self, server_id: str) -> Path:
        return self.machines_dir / _checked(server_id)

    def config_drive(self, server_id: str) -> Path:
        return self.machine_dir(server_id) / "config-drive.iso"

    def console_log(self, server_id: str) -> Path:
        return self.machine_dir(server_id) / "console.log"

    def obs_root(self, project_id: str) -> Path:
        """The folder whose direct children are the project's buckets."""
        return self.obs_dir / _checked(project_id)

    def log(self, part: str) -> Path:
        """`part` names a process of ours: api, worker, obs ..."""
        return self.logs_dir / f"{_checked_part(part)}.log"

    def pid_file(self, part: str) -> Path:
        return self.runtime_dir / f"{_checked_part(part)}.pid"

    def socket(self, part: str) -> Path:
        return self.runtime_dir / f"{_checked_part(part)}.sock"


def _refuse_foreign(directory: Path) -> None:
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ForbiddenError(f"{directory} is not a directory which only this user can write to.")


def _checked(an_id: str) -> str:
    if not _ID.fullmatch(an_id):
        raise ValueError(f"{an_id!r} is not a uuid, so it cannot name a file")
    return an_id


def _checked_part(part: str) -> str:
    if not _PART.fullmatch(part):
        raise ValueError(f"{part!r} does not name a part of the service")
    return part
