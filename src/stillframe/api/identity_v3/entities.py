"""What the things of identity look like on the wire.

Source: OpenStack Identity API v3; Open Telekom Cloud, Identity and Access Management API reference.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from stillframe.identity.catalog import Endpoint, Region, Service
from stillframe.identity.credentials import Credential, Ec2Pair
from stillframe.identity.limits import LimitView, RegisteredLimit
from stillframe.identity.model import ROLES, AccessRule, AppCredentialView, Domain, Group, Project, Role, Trust, User
from stillframe.identity.policy_documents import PolicyDocument
from stillframe.kit.clock import iso_micros, iso_micros_z

Wire = dict[str, Any]


def _self(base: str, path: str) -> Wire:
    return {"self": f"{base}/v3/{path}"}


def moment(value: datetime | None) -> str | None:
    return None if value is None else iso_micros_z(value)


def project_to_wire(project: Project, base: str) -> Wire:
    return {
        **project.extra,
        "id": project.id,
        "name": project.name,
        "domain_id": project.domain_id,
        "parent_id": project.parent_id or project.domain_id,
        "enabled": project.enabled,
        "is_domain": False,
        "description": project.description,
        "tags": project.tags,
        "options": project.options,
        "links": _self(base, f"projects/{project.id}"),
    }


def domain_as_project(domain: Domain, base: str) -> Wire:
    """A domain is a project too, of no domain and under no other."""
    return {
        **domain_to_wire(domain, base),
        "domain_id": None,
        "parent_id": None,
        "is_domain": True,
        "links": _self(base, f"projects/{domain.id}"),
    }


def domain_to_wire(domain: Domain, base: str) -> Wire:
    return {
        **domain.extra,
        "id": domain.id,
        "name": domain.name,
        "enabled": domain.enabled,
        "description": domain.description,
        "tags": domain.tags,
        "options": domain.options,
        "links": _self(base, f"domains/{domain.id}"),
    }


def user_to_wire(user: User, base: str) -> Wire:
    default_project = {"default_project_id": user.default_project_id} if user.default_project_id else {}
    return {
        **user.extra,
        "id": user.id,
        "name": user.name,
        "domain_id": user.domain_id,
        "enabled": user.enabled,
        **default_project,
        "password_expires_at": moment(user.password_expires_at),
        "options": user.options,
        "links": _self(base, f"users/{user.id}"),
    }


def group_to_wire(group: Group, base: str) -> Wire:
    return {
        **group.extra,
        "id": group.id,
        "name": group.name,
        "domain_id": group.domain_id,
        "description": group.description,
        "links": _self(base, f"groups/{group.id}"),
    }


def role_to_wire(role: Role, base: str) -> Wire:
    description = ROLES.get(role.name) if role.description is None else role.description
    return {
        **role.extra,
        "id": role.id,
        "name": role.name,
        "domain_id": role.domain_id,
        "description": description,
        "display_name": role.name,
        "type": "AA",
        "catalog": "BASE",
        "options": role.options,
        "links": _self(base, f"roles/{role.id}"),
    }


def service_to_wire(service: Service, base: str) -> Wire:
    return {
        **service.extra,
        "id": service.id,
        "type": service.type,
        "name": service.name or "",
        "enabled": service.enabled,
        "description": service.description or "",
        "links": _self(base, f"services/{service.id}"),
    }


def endpoint_to_wire(endpoint: Endpoint, base: str) -> Wire:
    return {
        **endpoint.extra,
        "id": endpoint.id,
        "service_id": endpoint.service_id,
        "interface": endpoint.interface,
        "region": endpoint.region_id,
        "region_id": endpoint.region_id,
        "url": endpoint.url,
        "enabled": endpoint.enabled,
        "links": _self(base, f"endpoints/{endpoint.id}"),
    }


def region_to_wire(region: Region, base: str) -> Wire:
    return {
        **region.extra,
        "id": region.id,
        "description": region.description,
        "parent_region_id": region.parent_region_id,
        "links": _self(base, f"regions/{quote(region.id, safe='')}"),
    }


def registered_limit_to_wire(limit: RegisteredLimit, base: str) -> Wire:
    return {
        "id": limit.id,
        "service_id": limit.service_id,
        "region_id": limit.region_id or None,
        "resource_name": limit.resource_name,
        "default_limit": limit.default_limit,
        "description": limit.description,
        "links": _self(base, f"registered_limits/{limit.id}"),
    }


def limit_to_wire(view: LimitView, base: str) -> Wire:
    limit, registered = view.limit, view.registered
    return {
        "id": limit.id,
        "project_id": limit.project_id,
        "domain_id": limit.domain_id,
        "service_id": registered.service_id,
        "region_id": registered.region_id or None,
        "resource_name": registered.resource_name,
        "resource_limit": limit.resource_limit,
        "description": limit.description,
        "links": _self(base, f"limits/{limit.id}"),
    }


def policy_to_wire(policy: PolicyDocument, base: str) -> Wire:
    return {
        **policy.extra,
        "id": policy.id,
        "type": policy.type,
        "blob": policy.blob,
        "links": _self(base, f"policies/{policy.id}"),
    }


def credential_to_wire(credential: Credential, base: str) -> Wire:
    return {
        **credential.extra,
        "id": credential.id,
        "type": credential.type,
        "user_id": credential.user_id,
        "project_id": credential.project_id,
        "blob": credential.blob,
        "links": _self(base, f"credentials/{credential.id}"),
    }


def ec2_to_wire(pair: Ec2Pair, base: str) -> Wire:
    return {
        "access": pair.access,
        "secret": pair.secret,
        "user_id": pair.user_id,
        "tenant_id": pair.project_id,
        "trust_id": None,
        "links": _self(base, f"users/{pair.user_id}/credentials/OS-EC2/{pair.access}"),
    }


def trust_to_wire(trust: Trust, base: str, roles: Sequence[Role] | None = None) -> Wire:
    """With its roles where they are given."""
    shown: Wire = {
        "id": trust.id,
        "trustor_user_id": trust.trustor_user_id,
        "trustee_user_id": trust.trustee_user_id,
        "project_id": trust.project_id,
        "impersonation": trust.impersonation,
        "expires_at": moment(trust.expires_at),
        "deleted_at": None,
        "remaining_uses": trust.remaining_uses,
        "redelegation_count": 0,
        "redelegated_trust_id": None,
        "links": _self(base, f"OS-TRUST/trusts/{trust.id}"),
    }
    if roles is None:
        return shown
    links = {**_self(base, f"OS-TRUST/trusts/{trust.id}/roles"), "next": None, "previous": None}
    return {**shown, "roles": [role_to_wire(each, base) for each in roles], "roles_links": links}


def access_rule_to_wire(rule: AccessRule, user_id: str, base: str) -> Wire:
    return {
        "id": rule.id,
        "service": rule.service,
        "method": rule.method,
        "path": rule.path,
        "links": _self(base, f"users/{user_id}/access_rules/{rule.id}"),
    }


def app_credential_to_wire(view: AppCredentialView, base: str) -> Wire:
    one = view.credential
    rules = [
        {"id": rule.id, "service": rule.service, "method": rule.method, "path": rule.path} for rule in view.access_rules
    ]
    return {
        "id": one.id,
        "name": one.name,
        "description": one.description,
        "user_id": one.user_id,
        "project_id": one.project_id,
        "system": None,
        "expires_at": None if one.expires_at is None else iso_micros(one.expires_at),
        "unrestricted": one.unrestricted,
        "roles": [
            {
                "id": role.id,
                "name": role.name,
                "domain_id": role.domain_id,
                "description": role.description,
                "options": role.options,
            }
            for role in view.roles
        ],
        **({"access_rules": rules} if rules else {}),
        "links": _self(base, f"users/{one.user_id}/application_credentials/{one.id}"),
    }
