"""Projects, domains, users, roles and the catalog's lists through the door; what is not offered; bad input."""

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillframe.identity.model import User
from tests.identity.home import Home


async def get(home: Home, path: str, user: User | None = None) -> httpx.Response:
    async with home.client((await home.token(user or home.demo)).text) as http:
        return await http.get(path)


async def test_a_project_looks_like_this(home: Home) -> None:
    answer = await get(home, f"/v3/projects/{home.project.id}")
    assert answer.status_code == 200
    project = answer.json()["project"]
    assert project == project | {
        "id": home.project.id,
        "name": "eu-de",
        "domain_id": home.domain.id,
        "parent_id": home.domain.id,
        "enabled": True,
        "is_domain": False,
        "description": "",
        "links": {"self": f"http://iam.test:5000/v3/projects/{home.project.id}"},
    }


async def test_the_region_s_name_finds_exactly_one_project(home: Home) -> None:
    """The Huawei SDK looks for the project of a region this way, and stops when it finds none or two."""
    await home.new_project("eu-de_tests")
    for user in (home.demo, home.admin):
        answer = (await get(home, "/v3/projects?name=eu-de", user)).json()
        assert [project["id"] for project in answer["projects"]] == [home.project.id]
        asked = "http://iam.test:5000/v3/projects?name=eu-de"
        assert answer["links"] == {"self": asked, "next": None, "previous": None}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?enabled=true", True),
        ("?enabled=False", False),
        ("?enabled=0", False),
        ("?is_domain=False&enabled=1", True),
        ("?domain_id=DOMAIN", True),
        ("?parent_id=DOMAIN", True),
        ("?domain_id=DOMAIN&parent_id=other", False),
        ("?parent_id=other", False),
        ("?name=eu-de%00", False),
        ("?name=EU-DE", False),
        ("?name=", False),
        ("?name=eu-de&unknown=1&sort_key=x", True),
        ("?name=eu-de&per_page=1", True),
        ("?name=eu-de&page=2&per_page=1", False),
    ],
)
async def test_filters_of_projects(home: Home, query: str, *, found: bool) -> None:
    answer = await get(home, "/v3/projects" + query.replace("DOMAIN", home.domain.id))
    assert answer.status_code == 200
    assert [project["name"] for project in answer.json()["projects"]] == (["eu-de"] if found else [])


@pytest.mark.parametrize("query", ["", "?enabled=None", "?per_page=1", "?sort_key=name"])
async def test_the_list_of_all_projects_is_for_managers(home: Home, query: str) -> None:
    """openstackclient asks for it first and for the own projects when it is refused."""
    assert (await get(home, f"/v3/projects{query}")).status_code == 403
    for manager in (home.admin, await home.new_user(None, "te_admin")):
        assert home.project.name in [
            each["name"] for each in (await get(home, "/v3/projects", manager)).json()["projects"]
        ]


async def test_a_domain_is_a_project_too(home: Home) -> None:
    (listed,) = (await get(home, "/v3/projects?is_domain=true")).json()["projects"]
    shown = (await get(home, f"/v3/projects/{home.domain.id}")).json()["project"]
    assert listed == shown == shown | {"id": home.domain.id, "is_domain": True, "domain_id": None, "parent_id": None}


@pytest.mark.parametrize(
    "query", ["per_page=0", "per_page=x", "per_page=-1", f"per_page=1&page={10**30}", "per_page=²"]
)
async def test_a_page_that_is_no_number_is_a_bad_request(home: Home, query: str) -> None:
    for path in ("/v3/projects", "/v3/users"):
        assert (await get(home, f"{path}?{query}")).status_code == 400


async def test_pages_together_are_the_list(home: Home) -> None:
    for _ in range(3):
        await home.new_project()
    whole = (await get(home, "/v3/projects", home.admin)).json()["projects"]
    pages = [
        (await get(home, f"/v3/projects?page={page}&per_page=2", home.admin)).json()["projects"]
        for page in range(1, len(whole) // 2 + 2)
    ]
    assert [each for page in pages for each in page] == whole


async def test_foreign_projects_are_forbidden_and_names_are_not_found(home: Home) -> None:
    foreign = await home.new_project()
    forbidden = await get(home, f"/v3/projects/{foreign.id}")
    assert forbidden.status_code == 403
    assert forbidden.json()["error"]["title"] == "Forbidden"
    assert (await get(home, f"/v3/projects/{'0' * 32}")).status_code == 403
    assert (await get(home, "/v3/projects/eu-de")).status_code == 404
    assert (await get(home, f"/v3/projects/{foreign.id}", home.admin)).status_code == 200
    assert (await get(home, f"/v3/projects/{'0' * 32}", home.admin)).status_code == 404


async def test_an_id_in_the_place_of_a_name_is_forbidden_whether_a_project_has_it_or_not(home: Home) -> None:
    """What openstackclient does next when it was not shown a project: refused, it takes the id as given."""
    foreign = await home.new_project()
    for wanted in (foreign.id, "0" * 32):
        assert (await get(home, f"/v3/projects?name={wanted}")).status_code == 403
        assert (await get(home, f"/v3/projects?name={wanted}", home.admin)).json()["projects"] == []


async def test_own_projects_and_domains(home: Home) -> None:
    projects = (await get(home, "/v3/auth/projects")).json()
    assert [project["id"] for project in projects["projects"]] == [home.project.id]
    domains = (await get(home, "/v3/auth/domains?name=Default")).json()["domains"]
    assert [(domain["id"], domain["name"], domain["enabled"]) for domain in domains] == [
        (home.domain.id, "Default", True)
    ]
    assert (await get(home, "/v3/auth/domains?name=default")).json()["domains"] == []
    assert (await get(home, "/v3/auth/domains", await home.new_user())).json()["domains"] == []


async def test_the_own_domain_is_seen_and_no_other(home: Home) -> None:
    assert [each["id"] for each in (await get(home, "/v3/domains")).json()["domains"]] == [home.domain.id]
    assert (await get(home, f"/v3/domains/{home.domain.id}")).json()["domain"]["name"] == "Default"
    assert (await get(home, f"/v3/domains/{'0' * 32}")).status_code == 403
    assert (await get(home, f"/v3/domains/{'0' * 32}", home.admin)).status_code == 404
    assert (await get(home, "/v3/domains/Default")).status_code == 404


async def test_users_see_themselves_and_administrators_everybody(home: Home) -> None:
    own = (await get(home, "/v3/users")).json()["users"]
    assert [user["name"] for user in own] == ["demo"]
    assert own[0]["password_expires_at"] is None
    assert "password" not in " ".join(own[0]).replace("password_expires_at", "")
    everybody = {user["name"] for user in (await get(home, "/v3/users", home.admin)).json()["users"]}
    assert {"admin", "demo"} <= everybody
    named = (await get(home, "/v3/users?name=demo", home.admin)).json()["users"]
    assert [user["id"] for user in named] == [home.demo.id]
    assert (await get(home, f"/v3/users/{home.admin.id}")).status_code == 403
    assert (await get(home, f"/v3/users/{home.demo.id}")).json()["user"]["name"] == "demo"
    assert (await get(home, f"/v3/users/{home.demo.id}/projects")).json()["projects"][0]["id"] == home.project.id


async def test_roles_services_endpoints_and_regions_can_be_read_by_anybody(home: Home) -> None:
    reader = await home.new_user(None, "readonly")
    roles = (await get(home, "/v3/roles", reader)).json()["roles"]
    assert {role["name"] for role in roles} == {"admin", "te_admin", "member", "reader", "readonly"}
    for plural in ("roles", "services", "endpoints", "regions"):
        entries = (await get(home, f"/v3/{plural}", reader)).json()[plural]
        one = (await get(home, f"/v3/{plural}/{entries[0]['id']}", reader)).json()
        assert one == {plural[:-1]: entries[0]}
        assert (await get(home, f"/v3/{plural}/nothing", reader)).status_code == 404


async def test_endpoints_are_filtered_exactly(home: Home) -> None:
    services = (await get(home, "/v3/services?type=identity")).json()["services"]
    assert len(services) == 1
    query = f"service_id={services[0]['id']}&interface=public"
    endpoints = (await get(home, f"/v3/endpoints?{query}")).json()["endpoints"]
    assert {endpoint["region"] for endpoint in endpoints} == {"eu-de", "*"}
    assert len((await get(home, f"/v3/endpoints?{query}&region=eu-de")).json()["endpoints"]) == 1
    assert (await get(home, "/v3/endpoints?region=eu")).json()["endpoints"] == []


async def test_the_catalog_can_be_asked_for_alone(home: Home) -> None:
    answer = (await get(home, "/v3/auth/catalog")).json()
    assert {"identity", "compute", "image"} <= {entry["type"] for entry in answer["catalog"]}
    assert set(answer["links"]) == {"self", "next", "previous"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v3/nothing", 404),
        ("GET", "/v3/OS-INHERIT/domains", 404),
        ("GET", "/v2.0", 404),
        ("PUT", "/v3/projects", 405),
        ("DELETE", "/v3/auth/catalog", 405),
    ],
)
async def test_what_is_unknown_is_an_error_in_the_same_envelope(
    home: Home, method: str, path: str, status: int
) -> None:
    async with home.client((await home.token(home.demo)).text) as http:
        answer = await http.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == status
    assert ("allow" in answer.headers) is (status == 405)


KNOWN_KEYS = ["auth", "identity", "methods", "password", "user", "domain", "id", "name", "token", "scope", "project"]
KNOWN_KEYS += ["credential", "user_id", "status", "description", "system", "all", "unscoped", "duration_seconds"]
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KNOWN_KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)
PATHS = [
    "/v3/projects/{}",
    "/v3/users/{}",
    "/v3/users/{}/projects",
    "/v3/domains/{}",
    "/v3/roles/{}",
    "/v3/services/{}",
    "/v3/projects?name={}",
    "/v3/projects?domain_id={}&enabled={}&parent_id={}",
    "/v3/projects?per_page={}&page={}",
    "/v3/users?name={}&domain_id={}",
    "/v3/auth/domains?name={}",
    "/v3/auth/projects?name={}",
    "/v3/endpoints?service_id={}",
    "/v3.0/OS-CREDENTIAL/credentials?user_id={}",
    "/v3.0/OS-CREDENTIAL/credentials/{}",
]
PERCENT = st.binary(max_size=8).map(lambda raw: "".join(f"%{byte:02X}" for byte in raw))
RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@RELAXED
@given(data=st.data())
async def test_noise_in_paths_queries_and_headers_is_never_an_error_of_the_server(home: Home, data: Any) -> None:
    path = data.draw(st.sampled_from(PATHS)).replace("{}", data.draw(PERCENT))
    token = (await home.token(data.draw(st.sampled_from([home.demo, home.admin])))).text
    subject = data.draw(st.binary(max_size=20)).replace(b"\n", b"").replace(b"\r", b"")
    async with home.client(token) as http:
        answer = await http.get(path)
        assert answer.status_code < 500, (path, answer.text)
        answer = await http.get("/v3/auth/tokens", headers={"X-Subject-Token": subject})
        assert answer.status_code in (400, 404)
    async with home.client() as http:
        assert (await http.get(path, headers={"X-Auth-Token": subject})).status_code == 401


@RELAXED
@given(body=st.one_of(JSON, st.fixed_dictionaries({"auth": st.fixed_dictionaries({"identity": JSON, "scope": JSON})})))
async def test_any_json_is_an_answer_of_a_client_s_mistake(home: Home, body: object) -> None:
    async with home.client((await home.token(home.demo)).text) as http:
        for path in ("/v3/auth/tokens", "/v3.0/OS-CREDENTIAL/securitytokens"):
            assert (await http.post(path, json=body)).status_code in (400, 401)
        answer = await http.post("/v3.0/OS-CREDENTIAL/credentials", json=body)
        assert answer.status_code in (400, 403, 404)


@RELAXED
@given(raw=st.binary(max_size=60))
async def test_any_bytes_are_an_answer_of_a_client_s_mistake(home: Home, raw: bytes) -> None:
    async with home.client((await home.token(home.demo)).text) as http:
        assert (await http.post("/v3/auth/tokens", content=raw)).status_code == 400
        assert (await http.post("/v3.0/OS-CREDENTIAL/credentials", content=raw)).status_code == 400
