"""Operations that are not there: each answers 501 and stands in the coverage table.

Source: OpenStack Compute API reference, without what it calls obsolete; Open Telekom Cloud, ECS API reference, "Native
OpenStack Nova APIs".
"""

from stillframe.api.missing import Missing, missing_routes

_ONE_HOST = "there is one host"
_FIXED = "flavors are fixed, so that their names mean the same everywhere"
_NO_HISTORY = "nothing is charged, so no use is recorded"

not_offered = missing_routes(
    Missing("GET", "/os-server-groups", "list server groups", _ONE_HOST),
    Missing("POST", "/os-server-groups", "create server groups", _ONE_HOST),
    Missing("GET", "/os-server-groups/{group_id:str}", "show a server group", _ONE_HOST),
    Missing("DELETE", "/os-server-groups/{group_id:str}", "delete a server group", _ONE_HOST),
    Missing("GET", "/servers/{server_id:str}/diagnostics", "show what a machine uses"),
    Missing("GET", "/servers/{server_id:str}/migrations", "list the moves of a server", _ONE_HOST),
    Missing("GET", "/servers/{server_id:str}/topology", "show the NUMA topology of a server", _ONE_HOST),
    Missing("POST", "/flavors", "create flavors", _FIXED),
    Missing("PUT", "/flavors/{flavor_id:str}", "change a flavor", _FIXED),
    Missing("DELETE", "/flavors/{flavor_id:str}", "delete a flavor", _FIXED),
    Missing("POST", "/flavors/{flavor_id:str}/os-extra_specs", "give a flavor extra specs", _FIXED),
    Missing("GET", "/flavors/{flavor_id:str}/os-flavor-access", "list who may use a flavor", _FIXED),
    Missing("GET", "/os-hypervisors", "list hosts", _ONE_HOST),
    Missing("GET", "/os-hypervisors/detail", "list hosts", _ONE_HOST),
    Missing("GET", "/os-services", "list the service's processes", "`stillframe status` does"),
    Missing("GET", "/os-aggregates", "list groups of hosts", _ONE_HOST),
    Missing("POST", "/os-aggregates", "group hosts", _ONE_HOST),
    Missing("GET", "/os-migrations", "list moves of servers", _ONE_HOST),
    Missing("GET", "/os-simple-tenant-usage", "sum up what projects have used", _NO_HISTORY),
    Missing("GET", "/os-simple-tenant-usage/{of_project:str}", "sum up what a project has used", _NO_HISTORY),
    Missing("GET", "/os-instance_usage_audit_log", "audit what was used", _NO_HISTORY),
    Missing(
        "GET", "/os-quota-class-sets/{name:str}", "show the quotas of a class", "`defaults` of a project shows them"
    ),
    Missing("PUT", "/os-quota-class-sets/{name:str}", "set the quotas of a class", "the configuration does"),
    Missing("POST", "/os-assisted-volume-snapshots", "be told of snapshots", "volumes are on this host"),
    Missing("POST", "/os-server-external-events", "be told of events", "all services are one"),
)
