"""Requests to the services of one cloud: endpoint from the catalog, token, one renewal on 401, errors as CliError."""

import re
from collections.abc import Mapping
from typing import Any

import requests
from keystoneauth1 import exceptions as ksa
from keystoneauth1.access import AccessInfoV3

from stillframe.cli.cloud import Cloud
from stillframe.cli.errors import CliError, ExitCode, error_from_response
from stillframe.cli.session import CachedAuth, ResponseHook, TokenCache, open_session

CATALOG_TYPES: Mapping[str, tuple[str, ...]] = {
    "image": ("image", "ims"),
    "compute": ("compute", "computev2.1"),
    "volume": ("block-storage", "volumev3", "volume"),
    "network": ("network",),
    "object": ("object", "object-store"),
}
_VERSION_AT_END = re.compile(r"/v\d+(\.\d+)?$")
_NO_VERSION_IN_URL = ("image", "network")
"""Services whose paths name the version themselves; some clouds append it to the catalog's URL as well."""


class Api:
    """`path` starts at the service's catalog URL; `{project_id}` in it stands for the token's project."""

    def __init__(self, cloud: Cloud, cache: TokenCache, on_response: ResponseHook | None = None) -> None:
        self.cloud = cloud
        self.auth = CachedAuth(cloud, cache)
        self.session = open_session(cloud, self.auth, on_response)

    @property
    def project_id(self) -> str:
        project_id = self.open_token().project_id
        if not project_id:
            raise CliError(
                f"the token of cloud {self.cloud.name!r} is for no project",
                exit_code=ExitCode.USAGE,
                hint=f"add project_name to it in {self.cloud.source}",
            )
        return project_id

    def open_token(self) -> AccessInfoV3:
        """The token in use, asked for now if there is none yet."""
        try:
            return self.auth.get_access(self.session)
        except ksa.ClientException as error:
            raise _error_from_keystoneauth(error, self.cloud) from None

    def revoke_kept_token(self) -> bool:
        """False when none is kept. A token the service no longer knows counts as revoked."""
        kept = self.auth.cache.read(self.auth.cache_key, None)
        self.auth.forget()
        if kept is None:
            return False
        headers = {"X-Auth-Token": kept.auth_token, "X-Subject-Token": kept.auth_token}
        try:
            url = f"{self.cloud.auth_url}/auth/tokens"
            response = self.session.delete(url, authenticated=False, headers=headers, raise_exc=False, log=False)
        except ksa.ClientException as error:
            raise _error_from_keystoneauth(error, self.cloud) from None
        if response.status_code >= 400 and response.status_code not in (401, 404):
            raise error_from_response(response)
        return True

    def endpoint(self, service: str) -> str:
        url = self.cloud.auth_url if service == "identity" else self._find_endpoint(service).rstrip("/")
        return _VERSION_AT_END.sub("", url) if service in _NO_VERSION_IN_URL else url

    def request(
        self,
        method: str,
        service: str,
        path: str,
        *,
        about: Mapping[str, str] | None = None,
        missing_ok: bool = False,
        **options: Any,
    ) -> requests.Response:
        """The answer, whose status is below 400 (or 404 with `missing_ok`).

        `about` names what the request works on (server, image, target), for the hint of an error.
        Raises: CliError for everything else, with the exit code that says why.
        """
        try:
            response = self._send(method, service, path, options)
        except ksa.ClientException as error:
            raise _error_from_keystoneauth(error, self.cloud) from None
        if response.status_code < 400 or (missing_ok and response.status_code == 404):
            return response
        raise error_from_response(response, about)

    def get(self, service: str, path: str, **options: Any) -> dict[str, Any]:
        return _decode(self.request("GET", service, path, **options))

    def get_or_none(self, service: str, path: str, **options: Any) -> dict[str, Any] | None:
        response = self.request("GET", service, path, missing_ok=True, **options)
        return None if response.status_code == 404 else _decode(response)

    def post(self, service: str, path: str, body: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        return _decode(self.request("POST", service, path, json=body, **options))

    def delete(self, service: str, path: str, **options: Any) -> None:
        self.request("DELETE", service, path, **options)

    def _send(self, method: str, service: str, path: str, options: Mapping[str, Any]) -> requests.Response:
        """The session's own retry on 401 would repeat the URL, which may hold the project of the rejected token."""
        for last_try in (False, True):
            url = self.endpoint(service) + (path.replace("{project_id}", self.project_id) if "{" in path else path)
            response = self.session.request(url, method, raise_exc=False, allow_reauth=False, log=False, **options)
            if response.status_code != 401 or last_try or not self.auth.invalidate():
                return response
            response.close()
        raise AssertionError("unreachable")

    def _find_endpoint(self, service: str) -> str:
        if override := self.cloud.endpoint_overrides.get(service):
            return override
        catalog = self.open_token().service_catalog.catalog
        for wanted in CATALOG_TYPES[service]:
            for entry in catalog:
                if entry["type"] == wanted and (url := self._matching_url(entry["endpoints"])):
                    return url
        region = f" in region {self.cloud.region_name}" if self.cloud.region_name else ""
        raise CliError(
            f"cloud {self.cloud.name!r} has no {service} service{region}",
            exit_code=ExitCode.UNREACHABLE,
            hint=f"check region_name and interface in {self.cloud.source}, or set {service}_endpoint_override there",
        )

    def _matching_url(self, endpoints: list[dict[str, str]]) -> str | None:
        regions = (self.cloud.region_name, "*") if self.cloud.region_name else ()
        for endpoint in endpoints:
            region = endpoint.get("region_id") or endpoint.get("region") or ""
            if endpoint["interface"] == self.cloud.interface and (not regions or region in regions):
                return endpoint["url"]
        return None


def _decode(response: requests.Response) -> dict[str, Any]:
    if not response.content:
        return {}
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise CliError(
            f"{response.request.method} {response.url} did not answer with JSON",
            exit_code=ExitCode.UNREACHABLE,
            hint="something else answers at this address: check the URL",
        )
    return body


def _error_from_keystoneauth(error: Exception, cloud: Cloud) -> CliError:
    if isinstance(error, ksa.HttpError) and error.response is not None:
        found = error_from_response(error.response)
        if found.status in (401, 403):
            who = cloud.username or cloud.user_id or "the token's user"
            found.hint = f"check the password, domain and project of {who} at {cloud.auth_url} ({cloud.source})"
        return found
    if isinstance(error, ksa.SSLError):
        hint = "for a private certificate authority set `cacert` (or `verify: false`) in clouds.yaml"
        return CliError(str(error), exit_code=ExitCode.UNREACHABLE, hint=hint)
    if isinstance(error, ksa.ConnectionError):
        what = "did not answer in time" if isinstance(error, ksa.ConnectTimeout) else "cannot be reached"
        return CliError(
            f"the service {what}: {_first_line(error)}",
            exit_code=ExitCode.UNREACHABLE,
            hint="is it running? `stillframe status` tells for the one on this machine",
        )
    return CliError(f"{type(error).__name__}: {_first_line(error)}", exit_code=ExitCode.UNREACHABLE)


def _first_line(error: Exception) -> str:
    """`Unable to establish connection to URL: HTTPConnectionPool(...)`: the part behind the URL helps nobody."""
    lines = str(error).splitlines() or [type(error).__name__]
    return re.sub(r": (HTTPS?ConnectionPool|\(?'Connection aborted).*", "", lines[0])
