"""Flavors, key pairs, zones and limits as Nova shows them.

Source: OpenStack Compute API reference.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

from stillframe.api.compute_v2 import microversions as mv
from stillframe.api.compute_v2.microversions import Microversion
from stillframe.api.compute_v2.server_wire import links
from stillframe.config import Settings
from stillframe.flavors.model import Flavor
from stillframe.kit.clock import iso_micros
from stillframe.servers.keypairs import MAX_KEYPAIRS
from stillframe.servers.model import Keypair, ServerUsage

Json = dict[str, Any]

_UNLIMITED = -1


class KeypairWanted(Struct):
    name: str
    public_key: Annotated[str, Meta(max_length=65535)] | None = None
    type: str | None = None


class KeypairBody(Struct):
    keypair: KeypairWanted


def brief_flavor(flavor: Flavor, base: str, project_id: str) -> Json:
    return {"id": flavor.id, "name": flavor.name, "links": links(base, project_id, f"flavors/{flavor.id}")}


def flavor_to_wire(flavor: Flavor, base: str, project_id: str, version: Microversion) -> Json:
    shown = {
        **brief_flavor(flavor, base, project_id),
        "vcpus": flavor.vcpus,
        "ram": flavor.ram_mib,
        "disk": 0,
        "swap": 0 if version >= mv.INTEGER_SWAP else "",
        "OS-FLV-EXT-DATA:ephemeral": 0,
        "OS-FLV-DISABLED:disabled": False,
        "os-flavor-access:is_public": flavor.is_public,
        "rxtx_factor": 1.0,
    }
    if version >= mv.FLAVOR_DESCRIPTIONS:
        shown["description"] = None
    if version >= mv.FLAVOR_EXTRA_SPECS:
        shown["extra_specs"] = flavor.extra_specs
    return shown


def keypair_to_wire(keypair: Keypair, version: Microversion, *, in_list: bool = False) -> Json:
    shown: Json = {"name": keypair.name, "public_key": keypair.public_key, "fingerprint": keypair.fingerprint}
    if version >= mv.KEYPAIR_TYPES:
        shown["type"] = "ssh"
    if not in_list:
        shown |= {
            "user_id": keypair.user_id,
            "created_at": iso_micros(keypair.created_at),
            "deleted": False,
            "deleted_at": None,
            "updated_at": None,
            "id": 0,
        }
    return {"keypair": shown}


def zone_to_wire(name: str) -> Json:
    return {"zoneName": name, "zoneState": {"available": True}, "hosts": None}


def limits_to_wire(usage: ServerUsage) -> Json:
    absolute = {
        "maxTotalInstances": usage.servers_limit,
        "maxTotalCores": usage.cores_limit,
        "maxTotalRAMSize": usage.ram_limit_mib,
        "maxTotalKeypairs": MAX_KEYPAIRS,
        "maxServerMeta": 128,
        "maxImageMeta": 128,
        "maxPersonality": 0,
        "maxPersonalitySize": 0,
        "maxServerGroups": 0,
        "maxServerGroupMembers": 0,
        "totalInstancesUsed": usage.servers,
        "totalCoresUsed": usage.cores,
        "totalRAMUsed": usage.ram_mib,
        "totalServerGroupsUsed": 0,
    }
    return {"limits": {"rate": [], "absolute": absolute}}


def default_quotas(settings: Settings) -> ServerUsage:
    limits = {"servers_limit": settings.server_quota, "cores_limit": settings.cores_quota}
    return ServerUsage(servers=0, cores=0, ram_mib=0, ram_limit_mib=settings.ram_quota_mib, **limits)


def quotas_to_wire(usage: ServerUsage, *, project_id: str | None = None, detailed: bool = False) -> Json:
    """Whoever sets them is not told whose they are."""
    counted = {
        "instances": (usage.servers_limit, usage.servers),
        "cores": (usage.cores_limit, usage.cores),
        "ram": (usage.ram_limit_mib, usage.ram_mib),
        "key_pairs": (MAX_KEYPAIRS, 0),
        "metadata_items": (128, 0),
        "injected_files": (0, 0),
        "injected_file_content_bytes": (0, 0),
        "injected_file_path_bytes": (0, 0),
        "server_groups": (0, 0),
        "server_group_members": (0, 0),
        "fixed_ips": (_UNLIMITED, 0),
        "floating_ips": (0, 0),
        "security_groups": (1, 0),
        "security_group_rules": (1, 0),
    }
    if detailed:
        shown = {name: {"limit": limit, "in_use": used, "reserved": 0} for name, (limit, used) in counted.items()}
    else:
        shown = {name: limit for name, (limit, _) in counted.items()}  # type: ignore[misc]
    return {"quota_set": {**({"id": project_id} if project_id else {}), **shown}}
