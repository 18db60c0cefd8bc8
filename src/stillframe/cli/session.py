"""Authentication: one token, kept in a private file, used by every command until shortly before it expires.

A token is valid for 24 hours and asking for one is the slowest call of the identity service, so it is shared by all
commands of this user for the same account. The catalog comes with the token and is kept with it.
"""

import contextlib
import fcntl
import getpass
import hashlib
import ipaddress
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import platformdirs
import requests
from keystoneauth1 import access, session
from keystoneauth1.identity import v3

from stillframe import __version__
from stillframe.cli.cloud import Cloud
from stillframe.cli.errors import CliError, ExitCode

RENEW_BEFORE_EXPIRY_S = 120
_LOCK_WAIT_S = 5.0


def default_cache_dir() -> Path:
    return platformdirs.user_cache_path("stillframe") / "tokens"


class TokenCache:
    """One file per account and cloud. Whatever is wrong with a file or the directory, it only costs a new token."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def read(self, key: str, rejected: str | None) -> access.AccessInfoV3 | None:
        """The kept token, unless it is about to expire or is the one a service has just rejected."""
        try:
            state = json.loads(self._read_private(self.directory / f"{key}.json"))
            found = access.AccessInfoV3(body=state["body"], auth_token=state["auth_token"])
            usable = found.auth_token != rejected and not found.will_expire_soon(RENEW_BEFORE_EXPIRY_S)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return found if usable else None

    def write(self, key: str, found: access.AccessInfoV3) -> None:
        """Replaces the file in one step: a reader sees the old token or the new one, never a part."""
        state = json.dumps({"auth_token": found.auth_token, "body": found._data})  # noqa: SLF001 - the library's own get_auth_state stores these two
        with contextlib.suppress(OSError):
            self._prepare_directory()
            descriptor, temporary = tempfile.mkstemp(dir=self.directory, prefix=".new-")
            try:
                with os.fdopen(descriptor, "w") as file:
                    file.write(state)
                Path(temporary).replace(self.directory / f"{key}.json")
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    def remove(self, key: str) -> None:
        with contextlib.suppress(OSError):
            (self.directory / f"{key}.json").unlink()

    @contextlib.contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Commands that start together ask for one token, not for one each.

        Waits a few seconds at most: a stopped process that holds the lock must not stop all others.
        """
        try:
            self._prepare_directory()
            descriptor = os.open(self.directory / f"{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            yield
            return
        try:
            _try_lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _prepare_directory(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.directory.stat().st_mode & 0o077:
            self.directory.chmod(0o700)

    @staticmethod
    def _read_private(path: Path) -> str:
        """Only what nobody else can have written or read."""
        with path.open() as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.getuid() or status.st_mode & 0o077:
                raise PermissionError(f"{path} is not private")
            return file.read()


def _try_lock(descriptor: int) -> None:
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)
        else:
            return


class CachedAuth(v3.Auth):
    """Asks for a token only when the cache has none."""

    def __init__(self, cloud: Cloud, cache: TokenCache) -> None:
        super().__init__(
            cloud.auth_url,
            [_auth_method(cloud)],
            project_id=cloud.project_id or None,
            project_name=cloud.project_name or None,
            project_domain_id=cloud.project_domain_id or None,
            project_domain_name=cloud.project_domain_name or None,
        )
        self.cloud = cloud
        self.cache = cache
        self.cache_key = cache_key(cloud)
        self._rejected: str | None = None

    def get_access(self, session: session.Session, **options: Any) -> access.AccessInfoV3:
        found = super().get_access(session, **options)
        if not isinstance(found, access.AccessInfoV3):
            raise TypeError(f"{type(found).__name__} is no token of Identity API v3")
        return found

    def get_auth_ref(self, session: session.Session) -> access.AccessInfoV3:
        with self.cache.locked(self.cache_key):
            if found := self.cache.read(self.cache_key, self._rejected):
                return found
            self._ask_for_password()
            fresh = super().get_auth_ref(session)
            self.cache.write(self.cache_key, fresh)
            return fresh

    def invalidate(self) -> bool:
        """Called when a service answered 401: the same token is not taken from the cache again."""
        if self.auth_ref:
            self._rejected = self.auth_ref.auth_token
        return super().invalidate()

    def forget(self) -> None:
        self.cache.remove(self.cache_key)
        self.auth_ref = None

    def _ask_for_password(self) -> None:
        method = self.auth_methods[0]
        if not isinstance(method, v3.PasswordMethod) or method.password:
            return
        if not sys.stdin.isatty():
            raise CliError(
                f"cloud {self.cloud.name!r} in {self.cloud.source} has no password",
                exit_code=ExitCode.AUTHENTICATION,
                hint="put it into secure.yaml or OS_PASSWORD",
            )
        method.password = getpass.getpass(f"Password of {self.cloud.username} at {self.cloud.name}: ")


def _auth_method(cloud: Cloud) -> v3.AuthMethod:
    if cloud.token:
        return v3.TokenMethod(token=cloud.token)
    if not (cloud.username or cloud.user_id):
        raise CliError(
            f"cloud {cloud.name!r} in {cloud.source} has no username", exit_code=ExitCode.USAGE, hint="add username"
        )
    return v3.PasswordMethod(
        password=cloud.password,
        user_id=cloud.user_id or None,
        username=cloud.username or None,
        user_domain_id=cloud.user_domain_id or None,
        user_domain_name=cloud.user_domain_name or None,
    )


def cache_key(cloud: Cloud) -> str:
    """The same for the same account at the same cloud, whatever it is called here; no password goes into it."""
    parts = (
        cloud.auth_url,
        cloud.user_id,
        cloud.username,
        cloud.user_domain_id,
        cloud.user_domain_name,
        cloud.project_id,
        cloud.project_name,
        cloud.project_domain_id,
        cloud.project_domain_name,
        hashlib.sha256(cloud.token.encode()).hexdigest() if cloud.token else "",
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


ResponseHook = Callable[[requests.Response], None]


def open_session(cloud: Cloud, auth: CachedAuth, on_response: ResponseHook | None = None) -> session.Session:
    """A session that authenticates by itself; `on_response` sees every answer, those of the identity service too."""
    opened = session.Session(
        auth=auth,
        verify=cloud.verify,
        timeout=cloud.timeout_s,
        app_name="stillframe",
        app_version=__version__,
    )
    if _is_loopback(cloud.auth_url):
        opened.session.trust_env = False  # a proxy cannot reach this machine's own loopback
    if on_response:
        opened.session.hooks["response"].append(_as_hook(on_response))
    opened.session.hooks["response"].append(_as_hook(_refuse_redirect_elsewhere))
    return opened


def _refuse_redirect_elsewhere(response: requests.Response) -> None:
    """The library would follow it with the token, or the password, in the repeated request.

    Raises: CliError unless it leads to the same server, or to the same host by TLS.
    """
    if not response.is_redirect:
        return
    target = urljoin(response.url, response.headers["Location"])
    here, there = urlsplit(response.url), urlsplit(target)
    if _origin(here) != _origin(there) and (there.scheme != "https" or here.hostname != there.hostname):
        raise CliError(
            f"{response.url} redirects to {target}, which is another server: no token or password is sent there",
            exit_code=ExitCode.UNREACHABLE,
            hint="if it is the right one, put its address into clouds.yaml",
        )


def _origin(url: SplitResult) -> tuple[str, str]:
    return url.scheme, url.netloc.rpartition("@")[2].lower()


def _as_hook(on_response: ResponseHook) -> Callable[..., None]:
    def hook(response: requests.Response, **_: Any) -> None:
        on_response(response)

    return hook


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
