"""A server as Nova shows it, at the microversion asked for.

Source: OpenStack Compute API reference, "Show Server Details"; Open Telekom Cloud, ECS API reference, "Querying Details
About an ECS (Native OpenStack API)". `image` is always an object, also for servers that boot from a volume: clients of
that cloud read its id without looking.
"""

import hashlib
from typing import Any

from stillframe.api.compute_v2 import microversions as mv
from stillframe.api.compute_v2.microversions import Microversion
from stillframe.kit.clock import iso_micros, iso_seconds_z
from stillframe.servers.model import Server, ServerStatus, VmState
from stillframe.volumes.model import Volume

Json = dict[str, Any]

_POWER_STATES = {
    VmState.BUILDING: 0,
    VmState.ACTIVE: 1,
    VmState.STOPPED: 4,
    VmState.PAUSED: 3,
    VmState.SUSPENDED: 7,
    VmState.SHELVED_OFFLOADED: 4,
    VmState.ERROR: 0,
}
_WITHOUT_PROGRESS = frozenset(
    {
        *(ServerStatus.SHUTOFF, ServerStatus.ERROR, ServerStatus.PAUSED, ServerStatus.SUSPENDED),
        ServerStatus.SHELVED_OFFLOADED,
    }
)


def links(base: str, project_id: str, path: str) -> list[dict[str, str]]:
    return [
        {"rel": "self", "href": f"{base}/v2.1/{project_id}/{path}"},
        {"rel": "bookmark", "href": f"{base}/{project_id}/{path}"},
    ]


def brief_server(server: Server, base: str) -> Json:
    return {"id": server.id, "name": server.name, "links": links(base, server.project_id, f"servers/{server.id}")}


def server_to_wire(server: Server, base: str, version: Microversion) -> Json:
    shown = {
        **brief_server(server, base),
        "status": str(server.status),
        "tenant_id": server.project_id,
        "user_id": server.user_id,
        "metadata": server.metadata,
        "hostId": _host_id(server),
        "flavor": _flavor(server, base, version),
        "image": _image(server, base),
        "created": iso_seconds_z(server.created_at),
        "updated": iso_seconds_z(server.updated_at),
        "addresses": addresses_to_wire(server),
        "accessIPv4": "",
        "accessIPv6": "",
        "key_name": server.key_name,
        "security_groups": security_groups_to_wire(server),
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": server.availability_zone,
        "OS-EXT-STS:power_state": _power_state(server),
        "OS-EXT-STS:task_state": str(server.task_state) if server.task_state else None,
        "OS-EXT-STS:vm_state": str(server.vm_state),
        "OS-SRV-USG:launched_at": iso_micros(server.launched_at) if server.launched_at else None,
        "OS-SRV-USG:terminated_at": None,
        "config_drive": "True" if server.config_drive else "",
        "os-extended-volumes:volumes_attached": _attached(server),
    }
    if server.status not in _WITHOUT_PROGRESS:
        shown["progress"] = 0 if server.status is ServerStatus.BUILD else 100
    if server.status is ServerStatus.ERROR and server.fault:
        fault = server.fault
        shown["fault"] = {
            "code": fault.code,
            "message": fault.message,
            "created": iso_seconds_z(fault.created_at),
        }
    return shown | _since(server, version)


def _power_state(server: Server) -> int:
    if server.vm_state is VmState.RESIZED:
        return _POWER_STATES[VmState.ACTIVE if server.should_run else VmState.STOPPED]
    return _POWER_STATES[server.vm_state]


def _since(server: Server, version: Microversion) -> Json:
    """Fields that appeared with a microversion."""
    fields: dict[Microversion, Json] = {
        mv.LOCKED: {"locked": server.locked_by is not None},
        mv.DESCRIPTIONS: {"description": server.description},
        mv.TAGS: {"tags": list(server.tags)},
        mv.TRUSTED_CERTIFICATES: {"trusted_image_certificates": None},
        mv.SERVER_GROUPS: {"server_groups": []},
        mv.LOCKED_REASON: {"locked_reason": server.locked_reason},
        mv.HOST_NAMES: {"OS-EXT-SRV-ATTR:hostname": server.host_name},
    }
    return {name: value for since, more in fields.items() if version >= since for name, value in more.items()}


def _image(server: Server, base: str) -> Json | str:
    if not server.image_id:
        return ""
    return {"id": server.image_id, "links": _bookmark(base, server, f"images/{server.image_id}")}


def _flavor(server: Server, base: str, version: Microversion) -> Json:
    flavor = server.flavor
    if version < mv.EMBEDDED_FLAVORS:
        return {"id": flavor.id, "links": _bookmark(base, server, f"flavors/{flavor.id}")}
    return {
        "original_name": flavor.name,
        "vcpus": flavor.vcpus,
        "ram": flavor.ram_mib,
        "disk": 0,
        "ephemeral": 0,
        "swap": 0,
        "extra_specs": flavor.extra_specs,
    }


def _bookmark(base: str, server: Server, path: str) -> list[dict[str, str]]:
    return [{"rel": "bookmark", "href": f"{base}/{server.project_id}/{path}"}]


def addresses_to_wire(server: Server) -> dict[str, list[Json]]:
    """By the names of networks."""
    shown: dict[str, list[Json]] = {}
    for nic in server.nics:
        fixed = [(ip.ip_address, "fixed") for ip in nic.port.fixed_ips]
        shown.setdefault(nic.network_name, []).extend(
            {
                "addr": address,
                "version": 4,
                "OS-EXT-IPS:type": kind,
                "OS-EXT-IPS-MAC:mac_addr": nic.port.mac_address,
            }
            for address, kind in (*fixed, *((address, "floating") for address in nic.floating_addresses))
        )
    return shown


def security_groups_to_wire(server: Server) -> list[dict[str, str]]:
    """Those of any of its cards."""
    names = dict.fromkeys(name for nic in server.nics for _, name in nic.security_groups)
    return [{"name": name} for name in names]


def _attached(server: Server) -> list[Json]:
    return [
        {"id": volume.id, "delete_on_termination": volume.attachment.delete_on_termination}
        for volume in server.volumes
        if volume.attachment
    ]


def _host_id(server: Server) -> str:
    """The same for servers of a project on the same host, and telling nothing of the host."""
    return hashlib.sha224(f"{server.project_id}/local".encode()).hexdigest() if server.launched_at else ""


def attachments_to_wire(server: Server, version: Microversion) -> list[Json]:
    """One entry for each disk."""
    return [attachment_to_wire(volume, version) for volume in server.volumes]


def attachment_to_wire(volume: Volume, version: Microversion) -> Json:
    """Of an attached volume, whose id is the attachment's too."""
    attachment = volume.attachment
    if attachment is None:
        return {}
    entry: Json = {"volumeId": volume.id, "serverId": attachment.server_id, "device": attachment.device}
    if version < mv.ATTACHMENTS_WITHOUT_ID:
        entry = {"id": volume.id, **entry}
    else:
        entry |= {"attachment_id": attachment.id, "bdm_uuid": attachment.id}
    if version >= mv.ATTACHMENT_TAGS:
        entry["tag"] = None
    if version >= mv.ATTACHMENT_TERMINATION:
        entry["delete_on_termination"] = attachment.delete_on_termination
    return entry
