"""Clients nobody here wrote, over a real socket."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openstack
import pytest
import uvicorn
from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkiam.v3 import IamClient, KeystoneListAuthDomainsRequest, KeystoneListProjectsRequest
from huaweicloudsdkims.v2 import ImsClient

from tests.identity.home import PASSWORDS, Home


@pytest.fixture(scope="module")
async def address(home: Home) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(home.app, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await serving


def connect(address: str, password: str, **more: Any) -> openstack.connection.Connection:
    auth = {
        "auth_url": f"{address}/v3",
        "username": "demo",
        "password": password,
        "project_name": "eu-de",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    return openstack.connect(
        auth=auth,
        region_name="eu-de",
        interface="public",
        identity_api_version=3,
        identity_endpoint_override=f"{address}/v3",
        load_yaml_config=False,
        load_envvars=False,
        **more,
    )


async def test_openstacksdk_logs_in_and_finds_its_project(home: Home, address: str) -> None:
    def drive() -> tuple[str, list[str], str]:
        with connect(address, PASSWORDS["demo"]) as cloud:
            found = cloud.identity.find_project("eu-de")
            image_url = cloud.session.get_endpoint(service_type="image", interface="public", region_name="eu-de")
            own = [each.id for each in cloud.identity.user_projects(cloud.current_user_id)]
            named = [each.id for each in cloud.identity.projects(name="eu-de")]
            return cloud.current_project_id, [found.id, *own, *named], image_url

    project_id, found, image_url = await asyncio.to_thread(drive)
    assert {project_id, *found} == {home.project.id}
    assert image_url == "http://127.0.0.1:9292"


async def test_openstacksdk_understands_the_refusal_of_a_wrong_password(address: str) -> None:
    def drive() -> None:
        with connect(address, "wrong") as cloud:
            cloud.authorize()

    with pytest.raises(openstack.exceptions.SDKException, match=r"requires authentication.*HTTP 401"):
        await asyncio.to_thread(drive)


def huawei(address: str, credentials: Any) -> Any:
    return IamClient.new_builder().with_credentials(credentials).with_endpoint(address).build()


async def test_the_huawei_sdk_finds_the_project_of_a_region_by_a_signed_request(home: Home, address: str) -> None:
    account = home.accounts["demo"]
    credentials = GlobalCredentials(account.access_key, account.secret_key, home.domain.id)

    def drive() -> list[Any]:
        answer = huawei(address, credentials).keystone_list_projects(KeystoneListProjectsRequest(name="eu-de"))
        found: list[Any] = answer.projects
        return found

    assert [(each.id, each.name) for each in await asyncio.to_thread(drive)] == [(home.project.id, "eu-de")]


async def test_the_huawei_sdk_finds_its_domain(home: Home, address: str) -> None:
    account = home.accounts["demo"]
    credentials = GlobalCredentials(account.access_key, account.secret_key, home.domain.id)

    def drive() -> list[str]:
        answer = huawei(address, credentials).keystone_list_auth_domains(KeystoneListAuthDomainsRequest())
        return [domain.id for domain in answer.domains]

    assert await asyncio.to_thread(drive) == [home.domain.id]


async def test_the_huawei_sdk_derives_the_project_of_a_region_without_being_told(home: Home, address: str) -> None:
    """It asks IAM for the project that is named like the region, with a request signed without any project."""
    account = home.accounts["demo"]
    credentials = BasicCredentials(account.access_key, account.secret_key).with_iam_endpoint(address)

    def drive() -> str:
        region = Region("eu-de", address)
        ImsClient.new_builder().with_credentials(credentials).with_region(region).build()
        found: str = credentials.project_id
        return found

    assert await asyncio.to_thread(drive) == home.project.id


async def test_the_huawei_sdk_understands_the_refusal_of_a_wrong_secret(home: Home, address: str) -> None:
    credentials = GlobalCredentials(home.accounts["demo"].access_key, "x" * 40, home.domain.id)

    def drive() -> None:
        huawei(address, credentials).keystone_list_projects(KeystoneListProjectsRequest())

    with pytest.raises(ClientRequestException) as refused:
        await asyncio.to_thread(drive)
    assert refused.value.status_code == 401


async def test_a_refusal_reaches_a_client_that_is_still_sending(address: str) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"\0" * 100_000
            await asyncio.sleep(0)

    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{address}/v3/projects", content=body())
    assert answer.status_code == 401
