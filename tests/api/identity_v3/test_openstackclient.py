"""The `openstack` command, openstacksdk and otcextensions against identity, over a real socket and unmodified.

The command runs inside of this process, once per command line as from a shell: starting Python anew for every one of
them would cost a second each.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import openstack
import pytest
import structlog
import uvicorn
from msgspec import structs

from stillframe.app import build_services
from stillframe.blobs.layout import DataLayout
from stillframe.jobs.resources import Resources
from tests.clients.command_line import run_command
from tests.clients.otc import OtcConnection
from tests.identity.home import PASSWORDS, Home, open_home

pytestmark = pytest.mark.client


class Site:
    """A running identity service, and how its administrator gets there."""

    def __init__(self, home: Home, address: str, token: str) -> None:
        self.home = home
        self.by_token = {
            "auth_type": "v3token",
            "auth_url": f"{address}/v3",
            "token": token,
            "project_id": home.project.id,
        }
        self.auth = {
            "auth_url": f"{address}/v3",
            "username": "admin",
            "password": PASSWORDS["admin"],
            "project_name": "eu-de",
            "user_domain_id": "default",
            "project_domain_name": "Default",
        }

    def run(self, line: str, **auth: str) -> str:
        """What the command prints. Checking the password every time takes too long, so a token does."""
        environment = {f"OS_{name.upper()}": value for name, value in (auth or self.by_token).items()}
        environment |= {
            "OS_REGION_NAME": "eu-de",
            "OS_IDENTITY_API_VERSION": "3",
            "HOME": str(self.home.settings.data_dir),
        }
        # The service logs to the same place otherwise.
        with structlog.testing.capture_logs():
            done = run_command(line, environment)
        assert done.code == 0, f"{line}: {done.out}{done.err}"
        return done.out

    def read(self, line: str) -> Any:
        return json.loads(self.run(f"{line} -f json"))


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    listener = socket.create_server(("127.0.0.1", 0))
    async with open_home("", directory) as home:
        # The catalog has to name the port that is really there.
        port = listener.getsockname()[1]
        settings = structs.replace(home.settings, port_offset=port - 5000)
        resources = Resources(
            settings=settings, layout=DataLayout(directory), database=home.database, token_keys=home.keys
        )
        app = build_services(resources)["identity"]
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield Site(home, f"http://127.0.0.1:{port}", (await home.token(home.admin)).text)
        server.should_exit = True
        await serving


async def drive(what: Callable[[], None]) -> None:
    await asyncio.to_thread(what)


async def test_users_groups_and_projects(site: Site) -> None:
    def commands() -> None:
        site.run("project create osc-project --description words --tag blue --property team=red")
        assert site.read("project show osc-project")["team"] == "red"
        site.run("project set osc-project --description other --tag green")
        assert site.read("project list --tags blue,green")[0]["Name"] == "osc-project"
        made = site.read("user create osc-user --password first --email a@b.c --project osc-project")
        assert (made["email"], made["enabled"]) == ("a@b.c", True)
        site.run("user set osc-user --password second --description words --disable")
        assert site.read("user show osc-user")["enabled"] is False
        site.run("user set osc-user --enable")
        assert "osc-user" in {each["Name"] for each in site.read("user list --long")}
        site.run("group create osc-group --description words")
        site.run("group add user osc-group osc-user")
        assert "in group" in site.run("group contains user osc-group osc-user")
        assert [each["Name"] for each in site.read("user list --group osc-group")] == ["osc-user"]
        assert [each["Name"] for each in site.read("group list --user osc-user")] == ["osc-group"]
        site.run("group set osc-group --name osc-renamed")
        site.run("group remove user osc-renamed osc-user")
        for kind, name in (("group", "osc-renamed"), ("user", "osc-user"), ("project", "osc-project")):
            site.run(f"{kind} show {name}")
            site.run(f"{kind} delete {name}")

    await drive(commands)


async def test_domains_roles_and_their_assignments(site: Site) -> None:
    def commands() -> None:
        site.run("domain create osc-domain --description words")
        site.run("domain set osc-domain --description other")
        assert "osc-domain" in {each["Name"] for each in site.read("domain list")}
        site.run("project create below --domain osc-domain")
        site.run("user create worker --domain osc-domain --password p")
        site.run("role create osc-role --description words")
        site.run("role set osc-role --name osc-renamed")
        site.run("implied role create osc-renamed --implied-role reader")
        assert "reader" in site.run("implied role list")
        user = "--user worker --user-domain osc-domain"
        site.run(f"role add osc-renamed {user} --project below --project-domain osc-domain")
        site.run(f"role add member {user} --domain osc-domain --inherited")
        site.run(f"role add reader {user} --system all")
        found = site.read(f"role assignment list {user} --names")
        assert {each["Role"] for each in found} == {"osc-renamed", "member", "reader"}
        found = site.read(
            f"role assignment list {user} --names --effective --project below --project-domain osc-domain"
        )
        assert {each["Role"] for each in found} == {"osc-renamed", "member", "reader"}
        assert site.read("role assignment list --system all --names --role reader")[0]["System"] == "all"
        site.run(f"role remove osc-renamed {user} --project below --project-domain osc-domain")
        site.run(f"role remove reader {user} --system all")
        site.run("implied role delete osc-renamed --implied-role reader")
        site.run("role delete osc-renamed")
        assert {"admin", "member", "reader"} <= {each["Name"] for each in site.read("role list")}
        site.run("domain set osc-domain --disable")
        site.run("domain delete osc-domain")

    await drive(commands)


async def test_the_catalog_and_limits(site: Site) -> None:
    def commands() -> None:
        site.run("region create osc-region --description words")
        site.run("region set osc-region --description other")
        assert site.read("region show osc-region")["description"] == "other"
        service = site.read("service create dns --name osc-dns --description words")
        site.run("service set osc-dns --description other")
        endpoint = site.read("endpoint create osc-dns public http://dns.test --region osc-region")
        assert endpoint["service_id"] == service["id"]
        site.run(f"endpoint set {endpoint['id']} --url http://other.test")
        assert [each["URL"] for each in site.read("endpoint list --service osc-dns")] == ["http://other.test"]
        assert "osc-dns" in {each["Name"] for each in site.read("catalog list")}
        assert site.read("catalog show osc-dns")["type"] == "dns"
        registered = site.read("registered limit create zones --default-limit 5 --service osc-dns --region osc-region")
        site.run(f"registered limit set {registered['id']} --default-limit 6")
        assert site.read("registered limit list")[0]["Default Limit"] == 6
        limit = site.read("limit create zones --resource-limit 3 --service osc-dns --region osc-region --project eu-de")
        site.run(f"limit set {limit['id']} --resource-limit 4")
        assert [each["Resource Limit"] for each in site.read("limit list")] == [4]
        site.run(f"limit delete {limit['id']}")
        site.run(f"registered limit delete {registered['id']}")
        site.run(f"endpoint delete {endpoint['id']}")
        site.run("service delete osc-dns")
        site.run("region delete osc-region")

    await drive(commands)


async def test_secrets_and_tokens(site: Site) -> None:
    def commands() -> None:
        made = site.read("credential create --type cert admin blob")
        site.run(f"credential set {made['id']} --type cert --data other --user admin")
        assert made["id"] in {each["ID"] for each in site.read("credential list")}
        assert site.read(f"credential show {made['id']}")["blob"] == "other"
        site.run(f"credential delete {made['id']}")
        pair = site.read("ec2 credentials create")
        assert pair["access"] in {each["Access"] for each in site.read("ec2 credentials list")}
        site.run(f"ec2 credentials show {pair['access']}")
        site.run(f"ec2 credentials delete {pair['access']}")
        secret = site.read("application credential create osc-app --role reader --description words")
        assert "osc-app" in {each["Name"] for each in site.read("application credential list")}
        login = {
            "auth_type": "v3applicationcredential",
            "auth_url": site.auth["auth_url"],
            "application_credential_id": secret["ID"],
            "application_credential_secret": secret["Secret"],
        }
        token = json.loads(site.run("token issue -f json", **login))
        assert token["project_id"] == site.home.project.id
        site.run(f"token revoke {token['id']}")
        site.run("application credential delete osc-app")
        site.run("access rule list")
        assert json.loads(site.run("token issue -f json", **site.auth))["project_id"] == site.home.project.id
        site.run("policy list")

    await drive(commands)


async def test_openstacksdk_manages_identity(site: Site) -> None:
    def proxy() -> None:
        with openstack.connect(
            auth=site.auth, region_name="eu-de", identity_api_version=3, load_yaml_config=False, load_envvars=False
        ) as cloud:
            identity = cloud.identity
            domain = identity.find_domain("Default", ignore_missing=False)
            project = identity.create_project(name="sdk-project", domain_id=domain.id, tags=["a"])
            assert identity.update_project(project, description="words").description == "words"
            user = identity.create_user(name="sdk-user", password="p", default_project_id=project.id)
            group = identity.create_group(name="sdk-group")
            identity.add_user_to_group(user, group)
            assert identity.check_user_in_group(user, group)
            assert [each.id for each in identity.group_users(group)] == [user.id]
            role = identity.find_role("member", ignore_missing=False)
            identity.assign_project_role_to_user(project, user, role)
            assert identity.validate_user_has_project_role(project, user, role)
            identity.assign_system_role_to_group(group, role, "all")
            assert identity.validate_group_has_system_role(group, role, "all")
            assert [each.role["id"] for each in identity.role_assignments(user_id=user.id)] == [role.id]
            assert [each.id for each in identity.user_projects(user)] == [project.id]
            service = identity.create_service(type="dns", name="sdk-dns")
            endpoint = identity.create_endpoint(service_id=service.id, interface="public", url="http://x.test")
            assert identity.get_endpoint(endpoint).url == "http://x.test"
            identity.delete_service(service)
            found = identity.create_application_credential(site.home.admin.id, "sdk-app")
            assert identity.get_application_credential(site.home.admin.id, found).name == "sdk-app"
            identity.delete_application_credential(site.home.admin.id, found)
            identity.remove_user_from_group(user, group)
            for thing, delete in (
                (group, identity.delete_group),
                (user, identity.delete_user),
                (project, identity.delete_project),
            ):
                delete(thing)

    await drive(proxy)


async def test_otcextensions_manages_access_keys(site: Site) -> None:
    def proxy() -> None:
        loader = openstack.config.OpenStackConfig(load_yaml_config=False, load_envvars=False)
        config = loader.get_one(auth=site.auth, region_name="eu-de", identity_api_version=3)
        with OtcConnection(config=config) as cloud:
            identity = cloud.identity
            assert {each.name for each in identity.projects()} >= {"eu-de"}
            made = identity.create_credential(user_id=site.home.admin.id, description="by otc")
            assert made.access in {each.access for each in identity.credentials(user_id=site.home.admin.id)}
            assert identity.get_credential(made.access).description == "by otc"
            identity.update_credential(made.access, status="inactive")
            assert identity.get_credential(made.access).status == "inactive"
            identity.delete_credential(made.access)
            temporary = identity.create_security_token(duration=900)
            assert temporary.access
            assert temporary.security_token

    await drive(proxy)
