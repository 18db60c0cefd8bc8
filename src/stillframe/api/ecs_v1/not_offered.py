"""Operations that are not there: each answers 501 and stands in the coverage table.

Source: Open Telekom Cloud, ECS API reference.
"""

from stillframe.api.missing import Missing, missing_routes

_V1 = "/v1/{project_id:str}/cloudservers"
_SERVER = f"{_V1}/{{server_id:str}}"

not_offered = missing_routes(
    Missing("PUT", f"{_SERVER}/os-reset-password", "reset the password of a server: no agent in it would do so"),
    Missing("PUT", f"{_V1}/os-reset-passwords", "reset the passwords of servers: no agent in them would do so"),
    Missing("POST", f"{_SERVER}/migrate", "migrate servers: there is one host"),
    Missing("POST", f"{_SERVER}/changevpc", "move servers to another VPC", "cards are added and taken away instead"),
    Missing("POST", f"{_V1}/os-server-groups", "create server groups: there is one host"),
    Missing("GET", f"{_V1}/os-server-groups", "list server groups: there is one host"),
    Missing("GET", f"{_V1}/os-server-groups/{{group_id:str}}", "show a server group: there is one host"),
    Missing("DELETE", f"{_V1}/os-server-groups/{{group_id:str}}", "delete a server group: there is one host"),
    Missing("POST", f"{_V1}/os-server-groups/{{group_id:str}}/action", "change who is in a group: there is one host"),
)
