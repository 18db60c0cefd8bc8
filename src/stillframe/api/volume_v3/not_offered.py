"""Operations that are not there yet: each answers 501 and stands in the coverage table.

Source: OpenStack Block Storage API v3 reference; Open Telekom Cloud, EVS API reference.
"""

from stillframe.api.missing import Missing, missing_routes

_VOLUME = "/volumes/{volume_id:str}"
_CLOUDVOLUMES = "/cloudvolumes"
_CLOUDVOLUME = "/cloudvolumes/{volume_id:str}"
_VENDOR = "/os-vendor-volumes"

not_offered = missing_routes(
    Missing("POST", "/snapshots/{snapshot_id:str}/action", "set the status of snapshots"),
    Missing("PUT", "/attachments/{attachment_id:str}", "connect attachments by hand: servers do so"),
    Missing("POST", "/backups", "back up volumes: snapshots and images are what there is"),
    Missing("POST", "/groups", "group volumes"),
    Missing("POST", "/group_types", "group volumes"),
    Missing("POST", "/volume-transfers", "hand volumes over to other projects"),
    Missing("POST", "/types", "make types of volumes: they are fixed"),
    Missing("POST", "/qos-specs", "limit the rates of volumes"),
    Missing("PUT", "/os-quota-sets/{of_project:str}", "set quotas of single projects: settings do so for all"),
    Missing("DELETE", "/os-quota-sets/{of_project:str}", "set quotas of single projects: settings do so for all"),
    Missing("GET", f"{_VENDOR}/detail", "list volumes with their tags"),
    Missing("GET", f"{_VENDOR}/{{volume_id:str}}", "show a volume with its tags"),
    Missing("GET", f"{_VENDOR}/{{volume_id:str}}/tags", "list the tags of a volume"),
    Missing("POST", f"{_VENDOR}/{{volume_id:str}}/tags/action", "add and remove tags of a volume"),
    Missing("GET", "/os-vendor-tags/volumes/{volume_id:str}", "list the tags of a volume"),
    Missing("PUT", "/os-vendor-tags/volumes/{volume_id:str}", "replace the tags of a volume"),
    Missing("POST", _CLOUDVOLUMES, "create volumes by the EVS API"),
    Missing("GET", f"{_CLOUDVOLUMES}/detail", "list volumes by the EVS API"),
    Missing("GET", _CLOUDVOLUME, "show a volume by the EVS API"),
    Missing("PUT", _CLOUDVOLUME, "change a volume by the EVS API"),
    Missing("DELETE", _CLOUDVOLUME, "delete a volume by the EVS API"),
    Missing("POST", f"{_CLOUDVOLUME}/action", "extend volumes by the EVS API"),
    Missing("GET", f"{_CLOUDVOLUME}/tags", "list the tags of a volume by the EVS API"),
    Missing("POST", f"{_CLOUDVOLUME}/tags/action", "add and remove tags of a volume by the EVS API"),
)

evs_not_offered = missing_routes(
    Missing("GET", "/v1/{project_id:str}/jobs/{job_id:str}", "show jobs of the EVS API"),
)
