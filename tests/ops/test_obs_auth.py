import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stillframe.ops import obs_auth
from stillframe.ops.obs_auth_server import ObsAccount, ObsAuthServer

PROJECT = "a11ce000000000000000000000000000"
KNOWN = {
    "AKALICE": ObsAccount(secret='quo"te\\ü', project_id=PROJECT),
    "AKEVIL": ObsAccount(secret="s", project_id="../../etc"),
}


async def look_up(access_key: str) -> ObsAccount | None:
    if access_key == "AKBROKEN":
        raise RuntimeError("the database is away")
    return KNOWN.get(access_key)


@pytest.fixture
async def directory() -> AsyncIterator[Path]:
    """Short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="sf-") as name:
        yield Path(name)


@pytest.fixture
async def server(directory: Path) -> AsyncIterator[ObsAuthServer]:
    server = ObsAuthServer(directory / "auth.sock", look_up)
    await server.start()
    yield server
    await server.stop()


async def ask(directory: Path, access_key: str) -> subprocess.CompletedProcess[str]:
    """As rclone does."""
    program = [sys.executable, "-I", "-S", "-B", obs_auth.__file__]
    question = json.dumps({"user": access_key, "client_ip": "127.0.0.1"}, indent="\t")
    return await asyncio.to_thread(
        subprocess.run,
        [*program, str(directory / "auth.sock"), str(directory / "obs")],
        input=question,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("server")
async def test_a_known_key_gets_its_projects_folder_and_its_secret(directory: Path) -> None:
    answer = json.loads((await ask(directory, "AKALICE")).stdout)
    assert answer["_secret_access_key"] == 'quo"te\\ü'
    assert (Path(answer["remote"]) / answer["_root"]) == directory / "obs" / PROJECT
    assert (directory / "obs" / PROJECT).stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("access_key", ["AKNOBODY", "AKBROKEN", "", "x" * 3000, 'a"\n{"access_key":"AKALICE"}'])
async def test_a_key_that_opens_nothing_gets_nothing(directory: Path, access_key: str) -> None:
    answer = await ask(directory, access_key)
    assert answer.returncode == 1
    assert answer.stdout == ""


@pytest.mark.usefixtures("server")
async def test_the_service_goes_on_answering_after_a_lookup_broke(directory: Path) -> None:
    await ask(directory, "AKBROKEN")
    assert (await ask(directory, "AKALICE")).returncode == 0


@pytest.mark.usefixtures("server")
async def test_a_project_whose_id_is_a_path_opens_nothing(directory: Path) -> None:
    answer = await ask(directory, "AKEVIL")
    assert answer.returncode != 0
    assert answer.stdout == ""


async def test_nothing_opens_while_the_identity_service_is_away(directory: Path) -> None:
    answer = await ask(directory, "AKALICE")
    assert answer.returncode == 1
    assert "does not answer" in answer.stderr


@pytest.mark.usefixtures("server")
async def test_only_this_user_can_ask(directory: Path) -> None:
    assert (directory / "auth.sock").stat().st_mode & 0o777 == 0o600


async def test_a_socket_left_by_a_killed_process_is_no_obstacle(directory: Path, server: ObsAuthServer) -> None:
    second = ObsAuthServer(directory / "auth.sock", look_up)
    await second.start()
    assert (await ask(directory, "AKALICE")).returncode == 0
    await second.stop()


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "question", [b"", b"\n", b"[]\n", b"{\n", b'{"access_key": 1}\n', b"\xff\n", b"x" * 9000 + b"\n"]
)
async def test_a_malformed_question_ends_the_connection_and_nothing_else(directory: Path, question: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(directory / "auth.sock")
    writer.write(question)
    writer.write_eof()
    assert b"secret" not in await reader.read()
    writer.close()
    assert (await ask(directory, "AKALICE")).returncode == 0


def test_an_account_does_not_print_its_secret() -> None:
    assert "hidden" not in repr(ObsAccount(secret="hidden", project_id=PROJECT))
