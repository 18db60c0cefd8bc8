"""The catalog: where every service is, in the form each client looks for it.

Clients append versions to some urls and not to others, so the forms differ. Identity is there twice: openstacksdk drops
what is not in its own region, others ask for the region "*" for calls about a domain.

Source: the catalog of Open Telekom Cloud, region eu-de; openstacksdk, gophertelekomcloud and otcextensions for what
they read from it.
"""

from functools import lru_cache
from typing import NamedTuple

import msgspec

from stillframe.config import Settings
from stillframe.kit.ids import derived_uuid

INTERFACES = ("public", "internal", "admin")
EVERY_REGION = "*"
_PROJECT = "$(project_id)s"
"""Stands for the project's id in the lists of endpoints, as in Keystone."""


class CatalogEntry(NamedTuple):
    type: str
    name: str
    service: str
    """Its key in `config.PORTS`."""
    path: str


ENTRIES = (
    CatalogEntry("identity", "keystone", "identity", "/v3"),
    CatalogEntry("image", "glance", "image", ""),
    CatalogEntry("ims", "ims", "image", ""),
    CatalogEntry("compute", "nova", "compute", f"/v2.1/{_PROJECT}"),
    CatalogEntry("computev2.1", "nova", "compute", f"/v2.1/{_PROJECT}"),
    CatalogEntry("ecs", "ecs", "compute", f"/v1/{_PROJECT}"),
    CatalogEntry("volumev2", "cinderv2", "volume", f"/v2/{_PROJECT}"),
    CatalogEntry("volumev3", "cinderv3", "volume", f"/v3/{_PROJECT}"),
    CatalogEntry("block-storage", "cinderv3", "volume", f"/v3/{_PROJECT}"),
    CatalogEntry("volume", "cinder", "volume", f"/v2/{_PROJECT}"),
    CatalogEntry("evs", "evs", "volume", f"/v2/{_PROJECT}"),
    CatalogEntry("network", "neutron", "network", ""),
    CatalogEntry("vpc", "vpc", "network", f"/v1/{_PROJECT}"),
    CatalogEntry("vpc2.0", "vpc2.0", "network", f"/v2.0/{_PROJECT}"),
    CatalogEntry("object", "objectstorage", "obs", ""),
)


class Service(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    type: str
    name: str
    enabled: bool = True


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    service_id: str
    interface: str
    region: str
    region_id: str
    url: str
    enabled: bool = True


def _id(*parts: str) -> str:
    return derived_uuid("catalog", *parts).replace("-", "")


def list_services() -> list[Service]:
    return [Service(id=_id(entry.type), type=entry.type, name=entry.name) for entry in ENTRIES]


def list_endpoints(settings: Settings) -> list[Endpoint]:
    return [endpoint for entry in ENTRIES for endpoint in _endpoints(settings, entry)]


def _endpoints(settings: Settings, entry: CatalogEntry) -> list[Endpoint]:
    regions = (settings.region, EVERY_REGION) if entry.type == "identity" else (settings.region,)
    return [
        Endpoint(
            id=_id(entry.type, region, interface),
            service_id=_id(entry.type),
            interface=interface,
            region=region,
            region_id=region,
            url=settings.url(entry.service) + entry.path,
        )
        for region in regions
        for interface in INTERFACES
    ]


@lru_cache(maxsize=1024)
def encoded_catalog(settings: Settings, project_id: str | None) -> msgspec.Raw:
    """The catalog of a token as JSON; without the endpoints of projects when the token is for none."""
    entries = [entry for entry in ENTRIES if project_id is not None or _PROJECT not in entry.path]
    return msgspec.Raw(msgspec.json.encode([_catalog_entry(settings, entry, project_id or "") for entry in entries]))


def _catalog_entry(settings: Settings, entry: CatalogEntry, project_id: str) -> dict[str, object]:
    endpoints = [
        {
            "id": endpoint.id,
            "interface": endpoint.interface,
            "region": endpoint.region,
            "region_id": endpoint.region_id,
            "url": endpoint.url.replace(_PROJECT, project_id),
        }
        for endpoint in _endpoints(settings, entry)
    ]
    return {"id": _id(entry.type), "name": entry.name, "type": entry.type, "endpoints": endpoints}
