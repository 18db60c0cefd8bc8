"""Users, groups, projects, domains, roles and what is granted, through the door and as Keystone answers."""

from typing import Any

import httpx
import pytest

from tests.api.identity_v3.admin import Admin, unique
from tests.identity.home import Home, password_body


@pytest.mark.parametrize(
    ("kind", "extra"),
    [
        ("user", {"email": "a@b.c", "description": "d", "nested": {"a": [1, None]}}),
        ("group", {"description": "d", "colour": "blue"}),
        ("project", {"description": "d", "colour": "blue"}),
        ("domain", {"description": "d", "colour": "blue"}),
        ("role", {"description": "d", "colour": "blue"}),
    ],
)
async def test_what_is_made_is_shown_listed_changed_and_deleted(admin: Admin, kind: str, extra: dict[str, Any]) -> None:
    """What Keystone does not know is kept and returned as it came."""
    made = await admin.make(kind, **extra)
    path = f"/{kind}s/{made['id']}"
    assert made == made | extra
    assert "extra" not in made
    assert await admin.ask("GET", path) == {kind: made}
    await admin.ask("HEAD", path)
    listed = (await admin.ask("GET", f"/{kind}s?name={made['name']}"))[f"{kind}s"]
    assert listed == [made]
    assert (await admin.ask("GET", f"/{kind}s?name__contains={made['name'][3:]}"))[f"{kind}s"] == [made]
    assert (await admin.ask("GET", f"/{kind}s?name__istartswith={made['name'].upper()}"))[f"{kind}s"] == [made]
    assert (await admin.ask("GET", f"/{kind}s?name__startswith={made['name'].upper()}"))[f"{kind}s"] == []
    change = {"name": unique("new"), "description": "other", "shape": "round"}
    changed = (await admin.ask("PATCH", path, {kind: change}))[kind]
    assert changed == made | change | ({"display_name": change["name"]} if kind == "role" else {})
    assert (await admin.ask("GET", path))[kind] == changed
    if kind == "domain":
        await admin.ask("DELETE", path, status=403)
        await admin.ask("PATCH", path, {kind: {"enabled": False}})
    await admin.ask("DELETE", path, status=204)
    for method in ("GET", "HEAD", "DELETE"):
        await admin.ask(method, path, status=404)
    await admin.ask("PATCH", path, {kind: {"name": "x"}}, status=404)


@pytest.mark.parametrize("kind", ["user", "group", "project", "domain", "role"])
async def test_a_name_is_taken_once_in_a_domain(admin: Admin, home: Home, kind: str) -> None:
    made, other = await admin.make(kind), await admin.make(kind)
    answer = await admin.ask("POST", f"/{kind}s", {kind: {"name": made["name"]}}, status=409)
    assert answer["error"]["title"] == "Conflict"
    await admin.ask("PATCH", f"/{kind}s/{other['id']}", {kind: {"name": made["name"]}}, status=409)
    if kind in ("user", "group", "project"):
        elsewhere = await admin.make("domain")
        await admin.make(kind, name=made["name"], domain_id=elsewhere["id"])
        assert made["domain_id"] == home.domain.id


@pytest.mark.parametrize("kind", ["user", "group", "project", "domain", "role"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": ""},
        {"name": " "},
        {"name": None},
        {"name": 7},
        {"name": ["x"]},
        {"name": "x" * 256},
        {"name": "nul\0"},
        {"name": "x", "description": 7},
        {"name": "x", "big": 10**30},
    ],
    ids=str,
)
async def test_a_body_that_breaks_the_schema_is_a_bad_request(admin: Admin, kind: str, fields: dict[str, Any]) -> None:
    answer = await admin.ask("POST", f"/{kind}s", {kind: fields}, status=400)
    assert answer["error"]["code"] == 400
    await admin.ask("POST", f"/{kind}s", {"other": fields}, status=400)
    await admin.ask("POST", f"/{kind}s", [fields], status=400)


@pytest.mark.parametrize("kind", ["user", "project", "domain"])
async def test_enabled_is_true_or_false_and_never_null(admin: Admin, kind: str) -> None:
    await admin.ask("POST", f"/{kind}s", {kind: {"name": unique(), "enabled": None}}, status=400)
    made = await admin.make(kind)
    await admin.ask("PATCH", f"/{kind}s/{made['id']}", {kind: {"enabled": None}}, status=400)
    assert (await admin.ask("GET", f"/{kind}s/{made['id']}"))[kind]["enabled"] is True


async def test_the_id_and_the_domain_of_a_thing_never_change(admin: Admin) -> None:
    elsewhere = await admin.make("domain")
    for kind in ("user", "group", "project"):
        made = await admin.make(kind)
        path = f"/{kind}s/{made['id']}"
        await admin.ask("PATCH", path, {kind: {"id": "0" * 32}}, status=400)
        await admin.ask("PATCH", path, {kind: {"domain_id": elsewhere["id"]}}, status=400)
        await admin.ask("PATCH", path, {kind: {"id": made["id"], "domain_id": made["domain_id"], "name": "same"}})
        await admin.ask("DELETE", path, status=204)


async def test_marker_and_limit_page_through_a_list(admin: Admin) -> None:
    domain = await admin.make("domain")
    made = [await admin.make("user", domain_id=domain["id"], name=f"u{n}") for n in range(5)]
    path, seen = f"/users?domain_id={domain['id']}&limit=2", []
    while path:
        page = await admin.ask("GET", path)
        seen += page["users"]
        following = page["links"]["next"]
        path = following.removeprefix("http://iam.test:5000/v3") if following else ""
    assert seen == made
    backwards = await admin.ask("GET", f"/users?domain_id={domain['id']}&sort_key=name&sort_dir=desc")
    assert backwards["users"] == made[::-1]
    await admin.ask("GET", "/users?limit=2&marker=nobody", status=400)
    await admin.ask("GET", "/users?sort_dir=up", status=400)


async def test_default_is_understood_as_the_id_of_the_first_domain(admin: Admin, home: Home) -> None:
    assert (await admin.ask("GET", "/domains/default"))["domain"]["id"] == home.domain.id
    assert (await admin.make("user", domain_id="default"))["domain_id"] == home.domain.id
    for kind in ("user", "group", "project"):
        made = await admin.make(kind, domain_id="default")
        await admin.ask("PATCH", f"/{kind}s/{made['id']}", {kind: {"domain_id": "default", "description": "d"}})
    listed = (await admin.ask("GET", "/projects?domain_id=default&name=eu-de"))["projects"]
    assert [each["id"] for each in listed] == [home.project.id]
    body = password_body("demo", "wrong", id="default")
    body["auth"]["identity"]["password"]["user"]["password"] = "dëmo's"
    answer = await admin.http.post("/v3/auth/tokens", json=body)
    assert answer.status_code == 201


# --- users and passwords ---------------------------------------------------------------------------------------------


async def log_in(home: Home, user: dict[str, Any], password: str, **domain: str) -> httpx.Response:
    async with home.client() as http:
        return await http.post("/v3/auth/tokens", json=password_body(user["name"], password, **domain))


async def test_a_user_changes_the_own_password_without_a_token(admin: Admin, home: Home) -> None:
    user = await admin.make("user", password="first")
    assert "password" not in user
    assert user["options"] == {}
    token = (await log_in(home, user, "first")).headers["x-subject-token"]
    async with home.client() as http:
        path = f"/v3/users/{user['id']}/password"
        for wrong in (
            {"original_password": "no", "password": "second"},
            {"original_password": "second", "password": "x"},
        ):
            assert (await http.post(path, json={"user": wrong})).status_code == 401
        for broken in ({}, {"original_password": "first"}, {"original_password": "first", "password": ""}):
            assert (await http.post(path, json={"user": broken})).status_code == 400
        change = {"original_password": "first", "password": "second"}
        assert (await http.post(path, json={"user": change})).status_code == 204
        assert (await http.get(f"/v3/users/{user['id']}", headers={"X-Auth-Token": token})).status_code == 401
    assert (await log_in(home, user, "first")).status_code == 401
    assert (await log_in(home, user, "second")).status_code == 201


async def test_an_administrator_sets_a_password_and_the_tokens_are_over(admin: Admin, home: Home) -> None:
    user = await admin.make("user", password="first")
    token = (await log_in(home, user, "first")).headers["x-subject-token"]
    await admin.ask("PATCH", f"/users/{user['id']}", {"user": {"password": "second"}})
    await admin.ask("GET", f"/users/{user['id']}")
    async with home.client(token) as http:
        assert (await http.get("/v3/auth/projects")).status_code == 401
    assert (await log_in(home, user, "second")).status_code == 201


async def test_a_user_without_a_password_or_disabled_does_not_get_in(admin: Admin, home: Home) -> None:
    user = await admin.make("user")
    assert (await log_in(home, user, "")).status_code == 401
    await admin.ask("PATCH", f"/users/{user['id']}", {"user": {"password": "p", "enabled": False}})
    assert (await log_in(home, user, "p")).status_code == 401
    await admin.ask("PATCH", f"/users/{user['id']}", {"user": {"enabled": True}})
    assert (await log_in(home, user, "p")).status_code == 201


async def test_options_of_a_user_are_known_ones(admin: Admin) -> None:
    user = await admin.make("user", options={"lock_password": True})
    path = f"/users/{user['id']}"
    assert user["options"] == {"lock_password": True}
    changed = await admin.ask(
        "PATCH", path, {"user": {"options": {"ignore_password_expiry": True, "lock_password": None}}}
    )
    assert changed["user"]["options"] == {"ignore_password_expiry": True}
    for wrong in ({"other": True}, {"lock_password": "yes"}, [], "x"):
        await admin.ask("PATCH", path, {"user": {"options": wrong}}, status=400)


# --- groups and grants -----------------------------------------------------------------------------------------------


async def roles_of(home: Home, user: dict[str, Any], project_id: str) -> list[str] | int:
    body = password_body(user["name"], "p", {"project": {"id": project_id}})
    async with home.client() as http:
        answer = await http.post("/v3/auth/tokens", json=body)
    if answer.status_code != 201:
        return answer.status_code
    return [role["name"] for role in answer.json()["token"]["roles"]]


async def role_id(admin: Admin, name: str) -> str:
    return str((await admin.ask("GET", f"/roles?name={name}"))["roles"][0]["id"])


async def test_members_of_a_group_hold_what_it_is_granted_for_as_long_as_they_are_in_it(
    admin: Admin, home: Home
) -> None:
    user, group, project = (
        await admin.make("user", password="p"),
        await admin.make("group"),
        await admin.make("project"),
    )
    member = await role_id(admin, "member")
    membership = f"/groups/{group['id']}/users/{user['id']}"
    grant = f"/projects/{project['id']}/groups/{group['id']}/roles/{member}"
    await admin.ask("HEAD", membership, status=404)
    await admin.ask("PUT", membership, status=204)
    await admin.ask("PUT", membership, status=204)
    await admin.ask("HEAD", membership, status=204)
    assert (await admin.ask("GET", f"/groups/{group['id']}/users"))["users"] == [
        (await admin.ask("GET", f"/users/{user['id']}"))["user"]
    ]
    assert [each["id"] for each in (await admin.ask("GET", f"/users/{user['id']}/groups"))["groups"]] == [group["id"]]
    assert await roles_of(home, user, project["id"]) == 401
    await admin.ask("PUT", grant, status=204)
    await admin.ask("HEAD", grant, status=204)
    assert await roles_of(home, user, project["id"]) == ["member", "reader"]
    assert [each["id"] for each in (await admin.ask("GET", f"/users/{user['id']}/projects"))["projects"]] == [
        project["id"]
    ]
    await admin.ask("DELETE", membership, status=204)
    assert await roles_of(home, user, project["id"]) == 401
    await admin.ask("PUT", membership, status=204)
    await admin.ask("DELETE", f"/groups/{group['id']}", status=204)
    assert await roles_of(home, user, project["id"]) == 401
    await admin.ask("DELETE", membership, status=404)


async def test_a_group_that_administers_the_platform_is_not_for_a_domain_s_administrator(
    admin: Admin, home: Home
) -> None:
    group, user = await admin.make("group"), await admin.make("user")
    membership = f"/groups/{group['id']}/users/{user['id']}"
    await admin.ask("PUT", membership, status=204)
    await admin.ask("PUT", f"/system/groups/{group['id']}/roles/{await role_id(admin, 'admin')}", status=204)
    manager = await home.new_user(None, "te_admin")
    async with home.client((await home.token(manager)).text) as http:
        door = Admin(http)
        await door.ask("HEAD", membership, status=204)
        for method, path in (
            ("DELETE", membership),
            ("PUT", f"/groups/{group['id']}/users/{manager.id}"),
            ("DELETE", f"/groups/{group['id']}"),
            ("PATCH", f"/groups/{group['id']}"),
        ):
            await door.ask(method, path, {"group": {"description": "x"}}, status=403)


@pytest.mark.parametrize("kind", ["user", "group"])
async def test_nothing_is_made_in_a_domain_that_is_not_there(admin: Admin, kind: str) -> None:
    await admin.ask("POST", f"/{kind}s", {kind: {"name": unique(), "domain_id": "0" * 32}}, status=404)


@pytest.mark.parametrize("actor", ["user", "group"])
@pytest.mark.parametrize("target", ["project", "domain", "system"])
@pytest.mark.parametrize("inherited", [False, True], ids=["direct", "inherited"])
async def test_a_role_is_granted_checked_listed_and_taken_back(
    admin: Admin, actor: str, target: str, *, inherited: bool
) -> None:
    if target == "system" and inherited:
        target = "domain"
    who, role = await admin.make(actor), await admin.make("role")
    where = await admin.make(target) if target != "system" else {"id": ""}
    base = f"/{target}s/{where['id']}" if target != "system" else "/system"
    end = "/inherited_to_projects" if inherited else ""
    many = f"{'/OS-INHERIT' if inherited else ''}{base}/{actor}s/{who['id']}/roles"
    one = f"{many}/{role['id']}{end}"
    await admin.ask("HEAD", one, status=404)
    await admin.ask("DELETE", one, status=404)
    await admin.ask("PUT", one, status=204)
    await admin.ask("PUT", one, status=204)
    await admin.ask("HEAD", one, status=204)
    await admin.ask("GET", one, status=204)
    assert [each["id"] for each in (await admin.ask("GET", many + end))["roles"]] == [role["id"]]
    scope = f"scope.{target}.id={where['id']}" if target != "system" else "scope.system=all"
    query = f"/role_assignments?{actor}.id={who['id']}&role.id={role['id']}&{scope}"
    (listed,) = (await admin.ask("GET", f"{query}&include_names"))["role_assignments"]
    assert listed["role"] == {"id": role["id"], "name": role["name"]}
    assert listed[actor]["name"] == who["name"]
    assert listed[actor]["domain"]["name"] == "Default"
    if target == "system":
        assert listed["scope"] == {"system": {"all": True}}
    else:
        assert listed["scope"][target]["name"] == where["name"]
    assert listed["scope"].get("OS-INHERIT:inherited_to") == ("projects" if inherited else None)
    assert listed["links"]["assignment"].endswith(one)
    await admin.ask("DELETE", one, status=204)
    assert (await admin.ask("GET", query))["role_assignments"] == []
    await admin.ask("PUT", one.replace(role["id"], "0" * 32), status=404)
    await admin.ask("PUT", one.replace(who["id"], "0" * 32), status=404)


async def test_an_inherited_role_holds_below_and_not_where_it_was_granted(admin: Admin, home: Home) -> None:
    user, top = await admin.make("user", password="p"), await admin.make("project")
    below = await admin.make("project", parent_id=top["id"])
    member = await role_id(admin, "member")
    grant = f"/OS-INHERIT/projects/{top['id']}/users/{user['id']}/roles/{member}/inherited_to_projects"
    await admin.ask("PUT", grant, status=204)
    assert await roles_of(home, user, top["id"]) == 401
    assert await roles_of(home, user, below["id"]) == ["member", "reader"]
    later = await admin.make("project", parent_id=below["id"])
    assert await roles_of(home, user, later["id"]) == ["member", "reader"]
    found = (await admin.ask("GET", f"/role_assignments?user.id={user['id']}&effective"))["role_assignments"]
    assert {(each["scope"]["project"]["id"], each["role"]["id"]) for each in found} == {
        (project["id"], each) for project in (below, later) for each in (member, await role_id(admin, "reader"))
    }
    await admin.ask("DELETE", grant, status=204)
    assert await roles_of(home, user, below["id"]) == 401


async def test_role_assignments_exclude_filters_that_never_match(admin: Admin) -> None:
    for query in (
        "scope.project.id=a&scope.domain.id=b",
        "scope.project.id=a&scope.system=all",
        "user.id=a&group.id=b",
        "effective&group.id=a",
        "include_subtree=true",
        "effective&scope.domain.id=a&scope.OS-INHERIT:inherited_to=projects",
    ):
        await admin.ask("GET", f"/role_assignments?{query}", status=400)


async def test_a_role_brings_along_what_it_implies(admin: Admin, home: Home) -> None:
    user, prior, implied = await admin.make("user", password="p"), await admin.make("role"), await admin.make("role")
    path = f"/roles/{prior['id']}/implies/{implied['id']}"
    await admin.ask("PUT", f"/projects/{home.project.id}/users/{user['id']}/roles/{prior['id']}", status=204)
    await admin.ask("HEAD", path, status=404)
    made = await admin.ask("PUT", path, status=201)
    assert made["role_inference"]["prior_role"]["id"] == prior["id"]
    assert made["role_inference"]["implies"]["name"] == implied["name"]
    await admin.ask("PUT", path, status=201)
    await admin.ask("HEAD", path, status=204)
    assert await admin.ask("GET", path) == made
    listed = (await admin.ask("GET", f"/roles/{prior['id']}/implies"))["role_inference"]["implies"]
    assert [each["id"] for each in listed] == [implied["id"]]
    everything = (await admin.ask("GET", "/role_inferences"))["role_inferences"]
    assert prior["id"] in {each["prior_role"]["id"] for each in everything}
    names = await roles_of(home, user, home.project.id)
    assert set(names if isinstance(names, list) else []) == {prior["name"], implied["name"]}
    await admin.ask("DELETE", path, status=204)
    assert await roles_of(home, user, home.project.id) == [prior["name"]]
    await admin.ask("PUT", f"/roles/{prior['id']}/implies/{await role_id(admin, 'admin')}", status=403)


async def test_a_role_of_a_domain_shows_in_no_token(admin: Admin, home: Home) -> None:
    domain = await admin.make("domain")
    role, implied = await admin.make("role", domain_id=domain["id"]), await admin.make("role")
    project = await admin.make("project", domain_id=domain["id"])
    user = await admin.make("user", password="p")
    assert role["id"] not in {each["id"] for each in (await admin.ask("GET", "/roles"))["roles"]}
    assert [each["id"] for each in (await admin.ask("GET", f"/roles?domain_id={domain['id']}"))["roles"]] == [
        role["id"]
    ]
    await admin.ask("PUT", f"/projects/{home.project.id}/users/{user['id']}/roles/{role['id']}", status=403)
    await admin.ask("PUT", f"/projects/{project['id']}/users/{user['id']}/roles/{role['id']}", status=204)
    assert await roles_of(home, user, project["id"]) == 401
    await admin.ask("PUT", f"/roles/{role['id']}/implies/{implied['id']}", status=201)
    assert await roles_of(home, user, project["id"]) == [implied["name"]]


# --- projects and domains --------------------------------------------------------------------------------------------


async def test_the_tree_of_projects_is_shown_both_ways(admin: Admin, home: Home) -> None:
    top = await admin.make("project")
    middle = await admin.make("project", parent_id=top["id"])
    leaf = await admin.make("project", parent_id=middle["id"])
    shown = (await admin.ask("GET", f"/projects/{leaf['id']}?parents_as_ids"))["project"]
    assert shown["parents"] == {middle["id"]: {top["id"]: {home.domain.id: None}}}
    shown = (await admin.ask("GET", f"/projects/{top['id']}?subtree_as_ids"))["project"]
    assert shown["subtree"] == {middle["id"]: {leaf["id"]: None}}
    shown = (await admin.ask("GET", f"/projects/{top['id']}?subtree_as_list"))["project"]
    assert shown["subtree"] == []
    member = await role_id(admin, "member")
    await admin.ask("PUT", f"/projects/{leaf['id']}/users/{home.admin.id}/roles/{member}", status=204)
    shown = (await admin.ask("GET", f"/projects/{top['id']}?subtree_as_list"))["project"]
    assert [each["project"]["id"] for each in shown["subtree"]] == [leaf["id"]]
    await admin.ask("GET", f"/projects/{top['id']}?subtree_as_list&subtree_as_ids", status=400)
    listed = (await admin.ask("GET", f"/projects?parent_id={middle['id']}"))["projects"]
    assert [each["id"] for each in listed] == [leaf["id"]]
    await admin.ask("DELETE", f"/projects/{middle['id']}", status=403)
    await admin.ask("PATCH", f"/projects/{middle['id']}", {"project": {"enabled": False}}, status=403)
    await admin.ask("PATCH", f"/projects/{leaf['id']}", {"project": {"enabled": False}})
    await admin.ask("PATCH", f"/projects/{middle['id']}", {"project": {"enabled": False}})
    await admin.ask("PATCH", f"/projects/{leaf['id']}", {"project": {"enabled": True}}, status=403)
    await admin.ask("POST", "/projects", {"project": {"name": unique(), "parent_id": middle["id"]}}, status=400)
    await admin.ask("POST", "/projects", {"project": {"name": unique(), "parent_id": "0" * 32}}, status=400)
    await admin.ask("POST", "/projects", {"project": {"name": unique(), "domain_id": "0" * 32}}, status=400)


async def test_a_project_made_as_a_domain_is_one(admin: Admin) -> None:
    made = await admin.make("project", is_domain=True)
    assert made == made | {"is_domain": True, "domain_id": None, "parent_id": None}
    assert (await admin.ask("GET", f"/domains/{made['id']}"))["domain"]["name"] == made["name"]
    await admin.ask("PATCH", f"/projects/{made['id']}", {"project": {"enabled": False}})
    await admin.ask("DELETE", f"/projects/{made['id']}", status=204)
    await admin.ask("GET", f"/domains/{made['id']}", status=404)


async def test_tags_of_a_project(admin: Admin) -> None:
    project = await admin.make("project", tags=["a", "b"])
    path = f"/projects/{project['id']}/tags"
    assert (await admin.ask("GET", path))["tags"] == ["a", "b"]
    await admin.ask("PUT", f"{path}/c", status=201)
    await admin.ask("GET", f"{path}/c", status=204)
    strange = await admin.http.put(f"/v3{path}/%E6%97%A5%20x")
    assert strange.headers["location"] == f"http://iam.test:5000/v3{path}/%E6%97%A5%20x"
    await admin.ask("DELETE", f"{path}/%E6%97%A5%20x", status=204)
    await admin.ask("DELETE", f"{path}/a", status=204)
    await admin.ask("GET", f"{path}/a", status=404)
    await admin.ask("DELETE", f"{path}/a", status=404)
    for query, found in (
        ("tags=b,c", True),
        ("tags=a,b", False),
        ("tags-any=a,b", True),
        ("not-tags=a,b", True),
        ("not-tags=b,c", False),
        ("not-tags-any=a", True),
        ("not-tags-any=b", False),
    ):
        listed = (await admin.ask("GET", f"/projects?{query}"))["projects"]
        assert (project["id"] in {each["id"] for each in listed}) is found, query
    assert (await admin.ask("PUT", path, {"tags": ["x", "y"]}))["tags"] == ["x", "y"]
    for tags in (["x,y"], ["x/y"], [""], ["x" * 256], ["x", "x"], "x", [f"t{n}" for n in range(81)]):
        await admin.ask("PUT", path, {"tags": tags}, status=400)
    await admin.ask("DELETE", path, status=204)
    assert (await admin.ask("GET", path))["tags"] == []


async def test_everybody_in_a_disabled_domain_is_out_and_deleting_it_takes_all_along(admin: Admin, home: Home) -> None:
    domain = await admin.make("domain")
    inside = {kind: await admin.make(kind, domain_id=domain["id"]) for kind in ("project", "group")}
    user = await admin.make("user", domain_id=domain["id"], password="p")
    member = await role_id(admin, "member")
    await admin.ask("PUT", f"/groups/{inside['group']['id']}/users/{home.demo.id}", status=204)
    await admin.ask("PUT", f"/projects/{home.project.id}/groups/{inside['group']['id']}/roles/{member}", status=204)
    token = (await log_in(home, user, "p", id=domain["id"])).headers["x-subject-token"]
    await admin.ask("PATCH", f"/domains/{domain['id']}", {"domain": {"enabled": False}})
    async with home.client(token) as http:
        assert (await http.get("/v3/auth/projects")).status_code == 401
    assert (await log_in(home, user, "p", id=domain["id"])).status_code == 401
    await admin.ask("DELETE", f"/domains/{domain['id']}", status=204)
    for kind, made in {**inside, "user": user, "domain": domain}.items():
        await admin.ask("GET", f"/{kind}s/{made['id']}", status=404)


async def test_what_is_immutable_stays_until_it_is_made_mutable(admin: Admin) -> None:
    for kind in ("project", "role", "domain"):
        made = await admin.make(kind, options={"immutable": True})
        path = f"/{kind}s/{made['id']}"
        await admin.ask("PATCH", path, {kind: {"description": "x"}}, status=403)
        await admin.ask("DELETE", path, status=403)
        await admin.ask("PATCH", path, {kind: {"options": {"immutable": False}, "enabled": False}})
        await admin.ask("DELETE", path, status=204)


async def test_nobody_locks_the_platform_or_themselves_out_by_accident(admin: Admin, home: Home) -> None:
    await admin.ask("DELETE", f"/users/{home.admin.id}", status=403)
    await admin.ask("PATCH", f"/users/{home.admin.id}", {"user": {"enabled": False}}, status=403)
    await admin.ask("PATCH", f"/domains/{home.domain.id}", {"domain": {"enabled": False}}, status=403)
    await admin.ask("DELETE", f"/domains/{home.domain.id}", status=403)
    for name in ("admin", "member", "reader"):
        await admin.ask("DELETE", f"/roles/{await role_id(admin, name)}", status=403)
        await admin.ask("PATCH", f"/roles/{await role_id(admin, name)}", {"role": {"name": "x"}}, status=403)
    role = await role_id(admin, "admin")
    places = [f"/projects/{home.project.id}", f"/domains/{home.domain.id}", "/system"]
    other = await admin.make("user", password="p")
    await admin.ask("PUT", f"/system/users/{other['id']}/roles/{role}", status=204)
    grants = [f"{place}/users/{home.admin.id}/roles/{role}" for place in places[1:]]
    for grant in grants:
        await admin.ask("DELETE", grant, status=204)
    await admin.ask("DELETE", f"/system/users/{other['id']}/roles/{role}", status=204)
    answer = await admin.ask("DELETE", f"{places[0]}/users/{home.admin.id}/roles/{role}", status=403)
    assert "without an administrator" in answer["error"]["message"]
    for grant in grants:
        await admin.ask("PUT", grant, status=204)
