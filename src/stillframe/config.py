"""The one configuration: a frozen Struct, read once at start from defaults, a TOML file and STILLFRAME_* variables."""

import ipaddress
import math
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from stillframe.errors import InvalidInputError

PORTS = {
    "identity": 5000,
    "image": 9292,
    "compute": 8774,
    "volume": 8776,
    "network": 9696,
    "console": 8780,
    "obs": 9000,
}
"""Default port of each service; `port_offset` is added to every one."""


LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
_DATABASES = ("postgresql+psycopg://", "sqlite+aiosqlite://")
_HOST = re.compile(r"[0-9A-Za-z.:_-]*", re.ASCII)
_LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an operator can choose. Sizes in bytes unless the name says otherwise, times in seconds."""

    data_dir: Path = msgspec.field(default_factory=lambda: platformdirs.user_data_path("stillframe"))
    host: str = "127.0.0.1"
    port_offset: int = 0
    public_host: str = ""
    """Host name written into the catalog and clouds.yaml; `host` when empty."""
    database_url: str = ""
    """`postgresql+psycopg://...` for PostgreSQL; empty means SQLite in the data directory."""
    log_level: str = "info"
    api_processes: int = 1
    """How many processes answer requests, sharing the ports."""

    region: str = "eu-de"
    availability_zone: str = "eu-de-01"

    image_format_label: str = ""
    """Replaces `disk_format` of images made by IMS on the wire (for example zvhd2); empty tells the true format."""
    zvhd_writes_vhd: bool = False
    """Exports asked for as `zvhd` deliver VHD bytes instead of being refused."""
    unique_image_names: bool = False
    """Refuse to capture into a name that an image of the project has already (IMG.0009)."""
    unexportable_platforms: tuple[str, ...] = ()
    """Platforms (such as Windows) whose private images may not be exported."""
    extra_os_versions: tuple[str, ...] = ()
    """More values of `os_version`, named as the known ones are: `Ubuntu 25.04 server 64bit`."""

    allow_running_capture: bool = False
    """Capture servers that run, too, instead of refusing with IMG.0008: the image is as after a power cut."""

    image_quota: int = 50
    image_jobs_limit: int = 40
    """Unfinished image jobs per project before IMG.0060."""
    image_copies_limit: int = 5
    """Unfinished copies of images among them."""
    server_quota: int = 100
    cores_quota: int = 200
    ram_quota_mib: int = 512 * 1024
    volume_quota: int = 400
    volume_quota_gib: int = 32768
    """Snapshots count, too."""
    snapshot_quota: int = 400
    upload_limit_bytes: int = 1024**4
    export_limit_bytes: int = 128 * 1024**3
    quick_export_limit_bytes: int = 1024**4
    import_limit_bytes: int = 128 * 1024**3
    quick_import_limit_bytes: int = 1024**4
    copy_limit_bytes: int = 128 * 1024**3
    """Virtual size of the largest image that can be copied."""

    import_methods: tuple[str, ...] = ("glance-direct", "web-download", "copy-image")
    """Ways of Glance's import that callers may use."""
    web_download_schemes: tuple[str, ...] = ("http", "https")
    web_download_ports: tuple[int, ...] = (80, 443)
    web_download_hosts: tuple[str, ...] = ()
    """Names, addresses and networks that an import may download from although they are not in the public internet."""
    web_download_timeout_s: float = 6 * 3600.0

    host_memory_reserve_mib: int = 1024
    """Memory of the host that servers may not take."""
    machine_overhead_mib: int = 128
    """What a machine takes of the host beside the memory of its flavor."""
    machine_disk_operations: int = 4000
    """All disks of a machine together, in a second; 0 sets no bound."""
    machine_disk_bytes: int = 256 * 1024**2
    """As `machine_disk_operations`."""
    host_disk_reserve_bytes: int = 1024**3
    """New volumes and snapshots are refused while the data directory's file system has less free than that; below half
    of it, servers that write are paused."""
    machine_stop_timeout_s: float = 60.0
    """How long a guest may take to power off before it is stopped by force."""
    machine_user: str = "nobody"
    guest_outbound: bool = False
    """Servers behind a router with a gateway may open connections to what the host reaches, though never to the host
    itself."""
    floating_range: str = "127.77.0.0/16"
    """Where floating addresses are from: any part of the host's loopback range."""
    console_log_limit_bytes: int = 1024 * 1024
    console_token_lifetime_s: float = 600.0
    """How long the address of a remote console can be opened, once."""
    job_timeout_s: float = 24 * 3600.0
    job_retention_days: int = 30
    consolidate: bool = True
    """Flatten and compress captured images in the background."""

    login_failures_limit: int = 5
    """Wrong passwords in a row after which a user is locked out; 0 never locks."""
    login_lock_s: float = 900.0
    """How long; also how long a failure counts."""
    password_pattern: str = ""
    """A regular expression that new passwords must match."""
    password_pattern_hint: str = ""
    """The rule in words, for whoever breaks it."""
    password_lifetime_days: int = 0
    """0: passwords do not expire."""

    obs_endpoint: str = ""
    """URL of an S3 service to use instead of the built-in one."""
    obs_access_key: str = ""
    obs_secret_key: str = ""

    def __post_init__(self) -> None:
        """What would break much later, in the middle of a request. Raises: ValueError."""
        numbers = ((name, getattr(self, name)) for name in self.__struct_fields__ if name != "port_offset")
        for name, value in numbers:
            if isinstance(value, int | float) and not 0 <= value < math.inf:
                raise ValueError(f"`{name}` is {value}, but must be a number from 0 on")
        for name in ("host", "public_host"):
            if not _HOST.fullmatch(getattr(self, name)):
                raise ValueError(f"`{name}` is neither a name nor an address of a host")
        if self.log_level.lower() not in LOG_LEVELS:
            raise ValueError(f"`log_level` must be one of {', '.join(LOG_LEVELS)}")
        if self.database_url and not self.database_url.startswith(_DATABASES):
            raise ValueError(f"`database_url` must begin with one of {', '.join(_DATABASES)}")
        if self.obs_endpoint and not self.obs_endpoint.startswith(("http://", "https://")):
            raise ValueError("`obs_endpoint` must begin with http:// or https://")
        try:
            re.compile(self.password_pattern)
        except re.error as error:
            raise ValueError(f"`password_pattern` is no regular expression: {error}") from None
        _require_loopback(self.floating_range)

    @property
    def db_url(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'stillframe.db'}"

    def port(self, service: str) -> int:
        return PORTS[service] + self.port_offset

    def url(self, service: str) -> str:
        if service == "obs" and self.obs_endpoint:
            return self.obs_endpoint.rstrip("/")
        host = self.public_host or self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port(service)}"


def _require_loopback(floating_range: str) -> None:
    try:
        is_loopback = ipaddress.IPv4Network(floating_range).subnet_of(_LOOPBACK)
    except ValueError as error:
        raise ValueError(f"`floating_range` is no network: {error}") from None
    if not is_loopback:
        raise ValueError(f"`floating_range` must be a part of {_LOOPBACK}")


def load_settings(
    config_file: Path | None = None, environ: Mapping[str, str] | None = None, **overrides: object
) -> Settings:
    """Defaults, then the TOML file (`data_dir/stillframe.toml` when none is named), then STILLFRAME_*, then flags.

    Raises: InvalidInputError naming the key and where it came from.
    """
    environ = os.environ if environ is None else environ
    given: dict[str, Any] = {k: v for k, v in overrides.items() if v is not None}
    from_env = {
        name: environ[f"STILLFRAME_{name.upper()}"]
        for name in Settings.__struct_fields__
        if f"STILLFRAME_{name.upper()}" in environ
    }
    data_dir = Path(given.get("data_dir") or from_env.get("data_dir") or Settings().data_dir)
    from_file = _read_toml(config_file or data_dir / "stillframe.toml", required=config_file is not None)
    merged = {**from_file, **from_env, **given}
    merged["data_dir"] = str(Path(merged.get("data_dir", data_dir)).expanduser().absolute())
    try:
        return msgspec.convert(merged, Settings, strict=False, dec_hook=lambda kind, text: kind(text))
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"configuration: {error}") from None


def _read_toml(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        if required:
            raise InvalidInputError(f"configuration file {path} does not exist") from None
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"configuration file {path} cannot be read: {error}") from None
