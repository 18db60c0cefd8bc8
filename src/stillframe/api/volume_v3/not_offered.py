"""Operations that are not there yet: each answers 501 and stands in the coverage table.

Source: OpenStack Block Storage API v3 reference; Open Telekom Cloud, EVS API reference.
"""

from stillframe.api.missing import Missing, missing_routes

_NO_GROUPS = "what must be of one moment is captured with its server, as a full-ECS image"
_ONE_BUDGET = "a machine's disks share one budget of the configuration's"
_SEALED = "what was written since would be lost; a new volume of the snapshot costs no more"

not_offered = missing_routes(
    Missing("POST", "/snapshots/{snapshot_id:str}/action", "set the status of snapshots", "jobs alone do so"),
    Missing("PUT", "/attachments/{attachment_id:str}", "connect attachments by hand: servers do so"),
    Missing("POST", "/backups", "back up volumes: snapshots and images are what there is"),
    Missing("POST", "/groups", "group volumes", _NO_GROUPS),
    Missing("POST", "/group_types", "group volumes", _NO_GROUPS),
    Missing("POST", "/volume-transfers", "hand volumes over to other projects", "images are shared instead"),
    Missing("POST", "/types", "make types of volumes: they are fixed"),
    Missing("POST", "/qos-specs", "limit the rates of volumes", _ONE_BUDGET),
)

evs_not_offered = missing_routes(
    Missing("POST", "/cloudsnapshots/{snapshot_id:str}/rollback", "revert volumes to their snapshots", _SEALED),
)
