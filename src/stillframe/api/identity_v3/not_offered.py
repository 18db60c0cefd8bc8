"""What the Identity API v3 has and this deployment has not: accounts are made by the operator, not through the API."""

from stillframe.api.missing import Missing, missing_routes


def _writes(path: str, id_name: str, noun: str) -> list[Missing]:
    one = f"{path}/{{{id_name}:str}}"
    return [
        Missing("POST", path, f"create {noun}"),
        Missing("PATCH", one, f"change {noun}"),
        Missing("DELETE", one, f"delete {noun}"),
    ]


def _everything(path: str, id_name: str, noun: str) -> list[Missing]:
    one = f"{path}/{{{id_name}:str}}"
    return [
        Missing("GET", path, f"list {noun}"),
        Missing("GET", one, f"show {noun}"),
        *_writes(path, id_name, noun),
    ]


not_offered = missing_routes(
    *_writes("/v3/projects", "project_id", "projects"),
    *_writes("/v3/domains", "domain_id", "domains"),
    *_writes("/v3/users", "user_id", "users"),
    *_writes("/v3/roles", "role_id", "roles"),
    *_writes("/v3/services", "service_id", "services"),
    *_writes("/v3/endpoints", "endpoint_id", "endpoints"),
    *_writes("/v3/regions", "region_id", "regions"),
    *_everything("/v3/groups", "group_id", "groups"),
    *_everything("/v3/credentials", "credential_id", "EC2 and TOTP credentials"),
    *_everything("/v3/policies", "policy_id", "policies"),
    *_everything("/v3/limits", "limit_id", "limits"),
    *_everything("/v3/registered_limits", "registered_limit_id", "registered limits"),
    Missing("GET", "/v3/role_assignments", "list role assignments"),
    Missing("GET", "/v3/role_inferences", "list implied roles"),
    Missing("POST", "/v3/users/{user_id:str}/password", "change a password through the API"),
    Missing("GET", "/v3/users/{user_id:str}/groups", "list the groups of a user"),
    Missing("GET", "/v3/users/{user_id:str}/application_credentials", "list application credentials"),
    Missing("POST", "/v3/users/{user_id:str}/application_credentials", "create application credentials"),
    Missing("GET", "/v3/users/{user_id:str}/access_rules", "list access rules"),
    Missing("GET", "/v3/projects/{project_id:str}/tags", "list the tags of a project"),
    Missing("GET", "/v3/projects/{project_id:str}/users/{user_id:str}/roles", "list the roles of a user"),
    Missing("GET", "/v3/domains/{domain_id:str}/users/{user_id:str}/roles", "list the roles of a user"),
    *(
        Missing(method, f"/v3/{place}s/{{{place}_id:str}}/users/{{user_id:str}}/roles/{{role_id:str}}", what)
        for place in ("project", "domain")
        for method, what in (("PUT", "grant a role"), ("DELETE", "withdraw a role"), ("HEAD", "check a role"))
    ),
    Missing("GET", "/v3/auth/system", "list system scopes"),
)
