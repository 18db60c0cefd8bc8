"""Operations that are not there yet: each answers 501 and stands in the coverage table.

Source: OpenStack Block Storage API v3 reference; Open Telekom Cloud, EVS API reference.
"""

from stillframe.api.missing import Missing, missing_routes

not_offered = missing_routes(
    Missing("POST", "/snapshots/{snapshot_id:str}/action", "set the status of snapshots"),
    Missing("PUT", "/attachments/{attachment_id:str}", "connect attachments by hand: servers do so"),
    Missing("POST", "/backups", "back up volumes: snapshots and images are what there is"),
    Missing("POST", "/groups", "group volumes"),
    Missing("POST", "/group_types", "group volumes"),
    Missing("POST", "/volume-transfers", "hand volumes over to other projects"),
    Missing("POST", "/types", "make types of volumes: they are fixed"),
    Missing("POST", "/qos-specs", "limit the rates of volumes"),
)

evs_not_offered = missing_routes(
    Missing("POST", "/cloudsnapshots/{snapshot_id:str}/rollback", "revert volumes to their snapshots"),
    Missing("GET", "/cloudvolumes/tags", "list the tags of all volumes"),
    Missing("POST", "/cloudvolumes/resource_instances/action", "find volumes by their tags"),
)
