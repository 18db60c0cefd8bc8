"""Operations that are not there yet: each answers 501 and stands in the coverage table.

Source: OpenStack Block Storage API v3 reference; Open Telekom Cloud, EVS API reference.
"""

from stillframe.api.missing import Missing, missing_routes

_VOLUME = "/volumes/{volume_id:str}"
_CLOUDVOLUMES = "/cloudvolumes"
_CLOUDVOLUME = "/cloudvolumes/{volume_id:str}"
_VENDOR = "/os-vendor-volumes"

not_offered = missing_routes(
    Missing("POST", f"{_VOLUME}/action", "extend volumes, or upload them to images"),
    Missing("POST", "/snapshots", "take snapshots of volumes"),
    Missing("POST", "/backups", "back up volumes"),
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
