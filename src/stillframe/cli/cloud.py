"""Which cloud to talk to: clouds.yaml, OS_* variables, or the Stillframe that runs on this machine.

The files are those of every OpenStack client: https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import platformdirs
import yaml

from stillframe.cli.errors import CliError, ExitCode

LOCAL_CLOUD = "stillframe"
_SUFFIXES = (".yaml", ".yml", ".json")
_AUTH_KEYS = (
    "auth_url",
    "username",
    "user_id",
    "password",
    "token",
    "user_domain_name",
    "user_domain_id",
    "project_name",
    "project_id",
    "project_domain_name",
    "project_domain_id",
    "domain_name",
    "domain_id",
)
_ALIASES = {"tenant_name": "project_name", "tenant_id": "project_id", "user_name": "username"}
_FALSE = ("0", "false", "no", "off")


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """One account at one cloud. `source` names where it was found, for error messages."""

    name: str
    source: str
    auth_url: str
    username: str = ""
    user_id: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    user_domain_name: str = ""
    user_domain_id: str = ""
    project_name: str = ""
    project_id: str = ""
    project_domain_name: str = ""
    project_domain_id: str = ""
    region_name: str = ""
    interface: str = "public"
    verify: bool | str = True
    """False, or the path of a CA bundle."""
    timeout_s: float = 60.0
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    endpoint_overrides: Mapping[str, str] = field(default_factory=dict)


def local_data_dir(environ: Mapping[str, str]) -> Path:
    """Where `stillframe up` keeps its data unless it was told otherwise."""
    given = environ.get("STILLFRAME_DATA_DIR")
    return Path(given).expanduser() if given else platformdirs.user_data_path("stillframe")


def choose_cloud(name: str | None = None, environ: Mapping[str, str] | None = None) -> Cloud:
    """The first of: `name`, OS_CLOUD, OS_AUTH_URL and its companions, the local Stillframe, a clouds.yaml's only cloud.

    The local system goes before a clouds.yaml nobody asked for, so that trying things out here never touches a real
    account that merely happens to be configured.

    Raises: CliError (usage) when there is none, or not exactly one.
    """
    environ = os.environ if environ is None else environ
    name = name or environ.get("OS_CLOUD")
    if name and name != "envvars":
        return _named_cloud(name, environ)
    if environ.get("OS_AUTH_URL"):
        return _cloud_from_environment(environ)
    local = local_data_dir(environ) / "clouds.yaml"
    if local.exists():
        return load_cloud_file(local, LOCAL_CLOUD)
    return _only_cloud(environ)


def load_cloud_file(path: Path, name: str) -> Cloud:
    """The cloud of that name in that file."""
    clouds = _read_clouds(path)
    if name not in clouds:
        raise CliError(f"{path} has no cloud {name!r}", exit_code=ExitCode.USAGE, hint=_known(clouds))
    return _build_cloud(name, clouds[name], str(path))


def _named_cloud(name: str, environ: Mapping[str, str]) -> Cloud:
    known: dict[str, Any] = {}
    for path in (_first_file("clouds", environ), local_data_dir(environ) / "clouds.yaml"):
        if path is None or not path.exists():
            continue
        clouds = _read_clouds(path)
        if name in clouds:
            entry = _merge(clouds[name], _secrets(environ).get(name, {}))
            return _build_cloud(name, entry, str(path))
        known |= clouds
    raise CliError(f"no cloud {name!r} in any clouds.yaml", exit_code=ExitCode.USAGE, hint=_known(known))


def _only_cloud(environ: Mapping[str, str]) -> Cloud:
    path = _first_file("clouds", environ)
    clouds = _read_clouds(path) if path else {}
    if path and len(clouds) == 1:
        name, entry = next(iter(clouds.items()))
        return _build_cloud(name, _merge(entry, _secrets(environ).get(name, {})), str(path))
    if clouds:
        raise CliError(f"{path} has several clouds", exit_code=ExitCode.USAGE, hint=f"choose: {_known(clouds)}")
    raise CliError(
        "no cloud is configured",
        exit_code=ExitCode.USAGE,
        hint="start one here with `stillframe up`, or give --os-cloud NAME, OS_CLOUD or the OS_* variables",
    )


def _known(clouds: Mapping[str, Any]) -> str:
    return "--os-cloud " + " | ".join(sorted(clouds)) if clouds else "looked for clouds.yaml in the usual places"


def _first_file(stem: str, environ: Mapping[str, str]) -> Path | None:
    variable = "OS_CLIENT_CONFIG_FILE" if stem == "clouds" else "OS_CLIENT_SECURE_FILE"
    if given := environ.get(variable):
        return Path(given).expanduser()
    return next((path for path in _candidates(stem) if path.is_file()), None)


def _candidates(stem: str) -> Iterator[Path]:
    folders = (
        Path.cwd(),
        platformdirs.user_config_path("openstack"),
        Path("~/.config/openstack").expanduser(),
        Path("/etc/openstack"),
    )
    for folder in folders:
        for suffix in _SUFFIXES:
            yield folder / f"{stem}{suffix}"


def _secrets(environ: Mapping[str, str]) -> dict[str, Any]:
    path = _first_file("secure", environ)
    return _read_clouds(path) if path and path.is_file() else {}


def _read_clouds(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CliError(f"{path} cannot be read: {error}", exit_code=ExitCode.USAGE) from None
    clouds = document.get("clouds") if isinstance(document, dict) else None
    if not isinstance(clouds, dict):
        raise CliError(f"{path} has no mapping called `clouds`", exit_code=ExitCode.USAGE)
    return {str(name): entry for name, entry in clouds.items() if isinstance(entry, dict)}


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _cloud_from_environment(environ: Mapping[str, str]) -> Cloud:
    given = {key[3:].lower(): value for key, value in environ.items() if key.startswith("OS_") and value}
    given = {_ALIASES.get(key, key): value for key, value in given.items()}
    entry: dict[str, Any] = {key: value for key, value in given.items() if key not in _AUTH_KEYS}
    entry["auth"] = {key: value for key, value in given.items() if key in _AUTH_KEYS}
    if given.get("insecure", "").lower() not in ("", *_FALSE):
        entry["verify"] = False
    return _build_cloud("envvars", entry, "the OS_* variables")


def _build_cloud(name: str, entry: Mapping[str, Any], source: str) -> Cloud:
    auth = entry.get("auth")
    given = _merge(entry, auth if isinstance(auth, dict) else {})
    text = {_ALIASES.get(key, key): str(value) for key, value in given.items() if isinstance(value, str | int | float)}
    if not text.get("auth_url"):
        hint = "add auth_url to it; vendor profiles are not read" if "profile" in entry else "add auth_url to it"
        raise CliError(f"cloud {name!r} in {source} has no auth_url", exit_code=ExitCode.USAGE, hint=hint)
    user_domain = _domain(text, "user")
    return Cloud(
        name=name,
        source=source,
        auth_url=_v3_url(text["auth_url"], source),
        **{
            key: text.get(key, "") for key in ("username", "user_id", "password", "token", "project_name", "project_id")
        },
        **user_domain,
        **(_domain(text, "project") or {key.replace("user", "project"): value for key, value in user_domain.items()}),
        region_name=text.get("region_name", ""),
        interface=_interface(given),
        verify=_verify(given),
        timeout_s=_seconds(text.get("api_timeout"), 60.0, source),
        access_key=text.get("ak") or text.get("access_key", ""),
        secret_key=text.get("sk") or text.get("secret_key", ""),
        endpoint_overrides={
            key.removesuffix("_endpoint_override"): value
            for key, value in text.items()
            if key.endswith("_endpoint_override")
        },
    )


def _domain(text: Mapping[str, str], kind: str) -> dict[str, str]:
    """A domain given for this user or project, else the one given for both; Keystone's own default for a user."""
    for prefix in (f"{kind}_domain", "domain", "default_domain"):
        for suffix in ("id", "name"):
            if value := text.get(f"{prefix}_{suffix}"):
                return {f"{kind}_domain_{suffix}": value}
    return {"user_domain_id": "default"} if kind == "user" and not text.get("user_id") else {}


def _v3_url(auth_url: str, source: str) -> str:
    try:
        parts = urlsplit(auth_url)
        is_server = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_server = False
    if not is_server:
        raise CliError(f"auth_url {auth_url!r} in {source} is no http(s) address of a server", exit_code=ExitCode.USAGE)
    url = auth_url.rstrip("/")
    return url if url.endswith("/v3") else f"{url.removesuffix('/v2.0')}/v3"


def _interface(given: Mapping[str, Any]) -> str:
    value = given.get("interface") or given.get("endpoint_type") or "public"
    first = value[0] if isinstance(value, list) and value else value
    return str(first).removesuffix("URL")


def _verify(given: Mapping[str, Any]) -> bool | str:
    if str(given.get("verify", True)).lower() in _FALSE:
        return False
    cacert = given.get("cacert")
    return str(Path(str(cacert)).expanduser()) if cacert else True


def _seconds(text: str | None, default: float, source: str) -> float:
    try:
        return float(text) if text else default
    except ValueError:
        raise CliError(f"api_timeout in {source} is not a number", exit_code=ExitCode.USAGE) from None
