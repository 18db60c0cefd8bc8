"""What a project has, so that a test can say that it took everything away again."""

from tests.system import System

_LISTS = {
    "servers": ("compute", "/v2.1/{project}/servers"),
    "volumes": ("volume", "/v3/{project}/volumes"),
    "images": ("image", "/v2/cloudimages"),
    "vpcs": ("network", "/v1/{project}/vpcs"),
    "subnets": ("network", "/v1/{project}/subnets"),
    "ports": ("network", "/v2.0/ports"),
    "security_groups": ("network", "/v2.0/security-groups"),
}


def belongings(system: System) -> dict[str, list[str]]:
    """The ids of everything of the usual account's project, by kind."""
    found = {}
    for kind, (service, path) in _LISTS.items():
        with system.http(service) as client:
            entries = client.get(path.format(project=system.project_id())).json()[kind]
        found[kind] = sorted(entry["id"] for entry in entries)
    with system.http("compute") as client:
        keypairs = client.get(f"/v2.1/{system.project_id()}/os-keypairs").json()["keypairs"]
    return found | {"keypairs": sorted(entry["keypair"]["name"] for entry in keypairs)}
