"""Which account a command uses: the rules of clouds.yaml, OS_* and the local system."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stillframe.cli.cloud import choose_cloud
from stillframe.cli.errors import CliError, ExitCode
from stillframe.cli.session import cache_key

AUTH = {"auth_url": "http://iam/v3", "username": "u", "password": "p", "project_name": "eu-de"}


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(home)
    return home


def write(path: Path, clouds: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"clouds": clouds}))
    return path


def entry(**changes: Any) -> dict[str, Any]:
    return {"auth": AUTH | changes, "region_name": "eu-de"}


def test_the_working_directory_goes_before_the_home_directory(empty_machine: Path) -> None:
    write(empty_machine / ".config/openstack/clouds.yaml", {"one": entry(username="from-home")})
    assert choose_cloud("one", {}).username == "from-home"
    write(empty_machine / "clouds.yaml", {"one": entry(username="from-here")})
    assert choose_cloud("one", {}).username == "from-here"


def test_a_named_file_goes_before_all(empty_machine: Path, tmp_path: Path) -> None:
    write(empty_machine / "clouds.yaml", {"one": entry(username="from-here")})
    named = write(tmp_path / "named.yaml", {"one": entry(username="from-named")})
    assert choose_cloud("one", {"OS_CLIENT_CONFIG_FILE": str(named)}).username == "from-named"


def test_secure_yaml_adds_the_password(empty_machine: Path) -> None:
    open_part = {"auth": {key: value for key, value in AUTH.items() if key != "password"}, "region_name": "eu-de"}
    write(empty_machine / "clouds.yaml", {"one": open_part})
    write(empty_machine / ".config/openstack/secure.yaml", {"one": {"auth": {"password": "hidden"}, "sk": "s"}})
    cloud = choose_cloud("one", {})
    assert (cloud.password, cloud.secret_key, cloud.username) == ("hidden", "s", "u")


def test_the_flag_goes_before_os_cloud_and_that_before_os_auth_url(empty_machine: Path) -> None:
    write(empty_machine / "clouds.yaml", {"one": entry(), "two": entry()})
    variables = {"OS_CLOUD": "two", "OS_AUTH_URL": "http://env/v3", "OS_USERNAME": "env"}
    assert choose_cloud("one", variables).name == "one"
    assert choose_cloud(None, variables).name == "two"
    del variables["OS_CLOUD"]
    assert choose_cloud(None, variables).auth_url == "http://env/v3"


def test_the_local_system_goes_before_a_clouds_yaml_nobody_asked_for(empty_machine: Path, tmp_path: Path) -> None:
    write(empty_machine / "clouds.yaml", {"real": entry()})
    assert choose_cloud(None, {}).name == "real"
    write(tmp_path / "data/clouds.yaml", {"stillframe": entry(), "stillframe-admin": entry(username="admin")})
    variables = {"STILLFRAME_DATA_DIR": str(tmp_path / "data")}
    assert choose_cloud(None, variables).name == "stillframe"
    assert choose_cloud("stillframe-admin", variables).username == "admin"
    assert choose_cloud("real", variables).name == "real"


def test_the_local_system_is_found_in_its_default_place(empty_machine: Path) -> None:
    write(empty_machine / ".local/share/stillframe/clouds.yaml", {"stillframe": entry()})
    assert choose_cloud(None, {}).name == "stillframe"


def test_several_clouds_and_no_choice_is_an_error_that_names_them(empty_machine: Path) -> None:
    write(empty_machine / "clouds.yaml", {"one": entry(), "two": entry()})
    with pytest.raises(CliError) as caught:
        choose_cloud(None, {})
    assert "one | two" in caught.value.hint


def test_nothing_configured_says_how_to_start() -> None:
    with pytest.raises(CliError) as caught:
        choose_cloud(None, {})
    assert "stillframe up" in caught.value.hint


@pytest.mark.parametrize("text", ["", "[]", "clouds: 3", "clouds: [", "\x00", "clouds: {one: 3}"])
def test_a_broken_file_is_told_without_a_traceback(empty_machine: Path, text: str) -> None:
    (empty_machine / "clouds.yaml").write_text(text)
    with pytest.raises(CliError):
        choose_cloud("one", {})


def test_variables_of_otc_tools_are_understood() -> None:
    cloud = choose_cloud(
        None,
        {
            "OS_AUTH_URL": "https://iam.eu-de.otc.t-systems.com/v3/",
            "OS_USERNAME": "u",
            "OS_PASSWORD": "p",
            "OS_TENANT_NAME": "eu-de_tests",
            "OS_DOMAIN_NAME": "OTC-1",
            "OS_REGION_NAME": "eu-de",
            "OS_CACERT": "/etc/ca.pem",
            "OS_ACCESS_KEY": "AK",
            "OS_SECRET_KEY": "SK",
        },
    )
    assert cloud.auth_url == "https://iam.eu-de.otc.t-systems.com/v3"
    assert (cloud.project_name, cloud.user_domain_name, cloud.project_domain_name) == ("eu-de_tests", "OTC-1", "OTC-1")
    assert (cloud.verify, cloud.access_key, cloud.secret_key) == ("/etc/ca.pem", "AK", "SK")


def test_certificates_are_checked_unless_switched_off(empty_machine: Path) -> None:
    write(empty_machine / "clouds.yaml", {"one": entry(), "lax": entry() | {"verify": False}})
    assert choose_cloud("one", {}).verify is True
    assert choose_cloud("lax", {}).verify is False
    assert choose_cloud(None, {"OS_AUTH_URL": "https://x", "OS_INSECURE": "true"}).verify is False
    assert choose_cloud(None, {"OS_AUTH_URL": "https://x", "OS_INSECURE": "false"}).verify is True


def test_secrets_do_not_show_when_a_cloud_is_printed(empty_machine: Path) -> None:
    write(empty_machine / "clouds.yaml", {"one": entry(password="swordfish") | {"ak": "AK", "sk": "trout"}})
    shown = repr(choose_cloud("one", {}))
    assert "swordfish" not in shown
    assert "trout" not in shown


def test_the_same_account_has_the_same_cache_key_whatever_its_name_or_password(empty_machine: Path) -> None:
    write(
        empty_machine / "clouds.yaml",
        {"one": entry(), "two": entry(password="other"), "three": entry(project_name="eu-de_x")},
    )
    one, two, three = (cache_key(choose_cloud(name, {})) for name in ("one", "two", "three"))
    assert one == two
    assert one != three


@pytest.mark.parametrize(
    "url", ["iam:5000", "http://", "ftp://iam", "http://[::1", "http://iam:port", "http://iam:99999"]
)
def test_an_auth_url_that_is_none_is_told_as_such(url: str) -> None:
    with pytest.raises(CliError, match="auth_url") as told:
        choose_cloud(None, {"OS_AUTH_URL": url, "OS_USERNAME": "u", "OS_PASSWORD": "p"})
    assert told.value.exit_code == ExitCode.USAGE
