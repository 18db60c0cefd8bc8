"""Operations that are not there yet: each answers 501 and stands in the coverage table.

Source: OpenStack Block Storage API v3 reference; Open Telekom Cloud, EVS API reference.
"""

from stillframe.api.missing import Missing, missing_routes

_NO_GROUPS = "what must be of one moment is captured with its server, as a full-ECS image"
_ONE_BUDGET = "a machine's disks share one budget of the configuration's"
_SHARED = "images are shared instead"
_SEALED = "what was written since would be lost; a new volume of the snapshot costs no more"

not_offered = missing_routes(
    Missing("POST", "/snapshots/{snapshot_id:str}/action", "set the status of snapshots", "jobs alone do so"),
    Missing("PUT", "/attachments/{attachment_id:str}", "connect attachments by hand: servers do so"),
    Missing("POST", "/backups", "back up volumes: snapshots and images are what there is"),
    Missing("POST", "/groups", "group volumes", _NO_GROUPS),
    Missing("POST", "/group_types", "group volumes", _NO_GROUPS),
    Missing("POST", "/volume-transfers", "hand volumes over to other projects", _SHARED),
    Missing("GET", "/os-volume-transfer", "list the transfers of volumes", _SHARED),
    Missing("GET", "/os-volume-transfer/detail", "list the transfers of volumes", _SHARED),
    Missing("POST", "/os-volume-transfer", "hand volumes over to other projects", _SHARED),
    Missing("GET", "/os-volume-transfer/{transfer_id:str}", "show a transfer of a volume", _SHARED),
    Missing("DELETE", "/os-volume-transfer/{transfer_id:str}", "take back a transfer of a volume", _SHARED),
    Missing("POST", "/os-volume-transfer/{transfer_id:str}/accept", "accept a volume from another project", _SHARED),
    Missing("POST", "/types", "make types of volumes: they are fixed"),
    Missing("POST", "/qos-specs", "limit the rates of volumes", _ONE_BUDGET),
)

evs_not_offered = missing_routes(
    Missing("POST", "/volumes/{volume_id:str}/retype", "change the type of a volume", "all types are of one disk"),
    Missing("POST", "/cloudsnapshots/{snapshot_id:str}/rollback", "revert volumes to their snapshots", _SEALED),
)
