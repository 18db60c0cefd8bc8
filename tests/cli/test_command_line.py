"""The command as a program: quick, complete, and without the server inside."""

import json
import os
import subprocess
import sys

import pytest

from stillframe.cli.commands.server import new_output
from stillframe.cli.output import print_fields, print_json, print_table, printable, say
from stillframe.cli.progress import Status, open_display
from tests.cli.conftest import Cli
from tests.cli.standin import PROJECT_ID, Answer, StandIn

COMMANDS = {
    "server": ("create", "list", "show", "start", "stop", "reboot", "delete", "console"),
    "image": ("create", "list", "show", "delete", "export", "save"),
    "job": ("show", "watch"),
    "token": ("issue", "revoke"),
    "flavor": ("list",),
    "keypair": ("list", "create", "delete"),
}
ALONE = ("demo", "completion", "up", "down", "status", "doctor", "serve", "worker")


def test_help_names_every_command(cli: Cli) -> None:
    text = cli.run("--help", check=0).stdout
    assert all(f"│ {name} " in text for name in (*COMMANDS, *ALONE))
    for noun, verbs in COMMANDS.items():
        text = cli.run(noun, "--help", check=0).stdout
        assert all(f"│ {verb} " in text for verb in verbs)


@pytest.mark.parametrize("argv", [("--help",), ("image", "create", "--help")])
def test_help_loads_neither_the_server_nor_an_http_library(argv: tuple[str, ...]) -> None:
    program = (
        "import sys\nfrom stillframe.cli import main\n"
        f"try: main({list(argv)!r})\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    loaded = done.stderr.split()
    ours = [name for name in loaded if name.startswith("stillframe.") and not name.startswith("stillframe.cli")]
    assert ours == []
    assert {"requests", "keystoneauth1", "litestar", "sqlalchemy", "msgspec", "yaml"}.isdisjoint(loaded)


def test_common_options_are_taken_before_and_behind_the_command(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", "/v2/cloudimages", Answer(body={"images": []}))
    before = cli.run("-o", "json", "--os-cloud", "standin", "image", "list", check=0)
    behind = cli.run("image", "list", "-o", "json", "--os-cloud", "standin", check=0)
    by_variable = cli.run("image", "list", check=0, STILLFRAME_OUTPUT="json", OS_CLOUD="standin")
    assert [json.loads(done.stdout) for done in (before, behind, by_variable)] == [[], [], []]


def test_defaults_can_be_written_into_a_file(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", "/v2/cloudimages", Answer(body={"images": []}))
    config = cli.home / "config/stillframe/cli.toml"
    config.parent.mkdir(parents=True)
    config.write_text('output = "json"\n[image.list]\nstatus = "active"\n')
    assert json.loads(cli.run("image", "list", check=0).stdout) == []


def test_the_printed_curl_commands_do_the_same_requests(cli: Cli, cloud: StandIn) -> None:
    path = f"/v2.1/{PROJECT_ID}/os-keypairs"
    cloud.on("POST", path, Answer(201, {"keypair": {"name": "it's $HOME", "fingerprint": "f"}}))
    done = cli.run("--verbose", "keypair", "create", "it's $HOME", check=0)
    lines = [line for line in done.stderr.splitlines() if line.startswith("curl ")]
    assert len(lines) == 2
    environ = os.environ | {"TOKEN": "token-1", "PASSWORD": "correct horse"}
    again = [subprocess.run(["sh", "-c", f"{line} -f"], env=environ, capture_output=True, check=True) for line in lines]
    assert json.loads(again[1].stdout)["keypair"]["name"] == "it's $HOME"
    sent = cloud.sent("POST", path)
    assert sent[0] == sent[1] == {"keypair": {"name": "it's $HOME"}}
    authentications = cloud.sent("POST", "/v3/auth/tokens")
    assert authentications[0] == authentications[1]


def test_lists_are_read_to_their_last_page(cli: Cli, cloud: StandIn) -> None:
    def image(number: int) -> dict[str, str]:
        return {"id": f"{number:032x}", "name": f"image-{number}", "status": "active"}

    pages = [[image(n) for n in range(500)], [image(n) for n in range(500, 620)]]
    cloud.on("GET", "/v2/cloudimages", *(Answer(body={"images": page}) for page in pages))
    found = json.loads(cli.run("image", "list", "-o", "json", check=0).stdout)
    assert [one["name"] for one in found] == [f"image-{n}" for n in range(620)]


def test_the_private_key_of_a_new_pair_goes_into_a_private_file(cli: Cli, cloud: StandIn) -> None:
    pair = {"name": "mine", "fingerprint": "aa:bb", "private_key": "-----BEGIN KEY-----\nsecret\n"}
    cloud.on("POST", f"/v2.1/{PROJECT_ID}/os-keypairs", Answer(200, {"keypair": pair}))
    done = cli.run("keypair", "create", "mine", "--private-key", "id_mine", check=0)
    assert (cli.home / "id_mine").read_text() == pair["private_key"]
    assert (cli.home / "id_mine").stat().st_mode & 0o777 == 0o600
    assert "secret" not in done.stdout + done.stderr
    cli.run("keypair", "create", "mine", "--private-key", "id_mine", check=5)
    assert cli.run("keypair", "create", "mine", check=0).stdout == pair["private_key"]


def test_a_refused_key_pair_leaves_no_empty_file(cli: Cli, cloud: StandIn) -> None:
    refusal = Answer(409, {"conflictingRequest": {"code": 409, "message": "Key pair 'mine' already exists."}})
    cloud.on("POST", f"/v2.1/{PROJECT_ID}/os-keypairs", refusal)
    cli.run("keypair", "create", "mine", "--private-key", "id_mine", check=5)
    assert not (cli.home / "id_mine").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_know_the_commands(cli: Cli, shell: str) -> None:
    script = cli.run("completion", shell, check=0).stdout
    assert all(name in script for name in (*COMMANDS, *ALONE, "--os-cloud"))


def test_bash_completes_commands_and_options(cli: Cli) -> None:
    script = cli.home / "completion.bash"
    script.write_text(cli.run("completion", "bash", check=0).stdout)
    program = (
        f"source {script}; COMP_WORDS=(stillframe image ex); COMP_CWORD=2; "
        "$(complete -p stillframe | sed 's/.*-F \\([^ ]*\\).*/\\1/'); echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.split() == ["export"]


def test_columns_are_aligned_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("id", "name"), [("1" * 300, "a"), ("2", "画像"), (3, None)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ID" + " " * 300 + "NAME"
    assert lines[1] == "1" * 300 + "  a"
    assert lines[3] == "3"


def test_other_peoples_names_cannot_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields({"name": "\x1b[2J\x9bevil\r\n"})
    assert capsys.readouterr().out == "name  \\x1b[2J\\x9bevil\\r\\n\n"
    assert printable("a\nb\tc\x07", keep="\n\t") == "a\nb\tc\\x07"
    print_json({"name": "\x9b2J\x7f画像"})
    assert capsys.readouterr().out == '{\n  "name": "\\u009b2J\\u007f画像"\n}\n'


@pytest.mark.parametrize("live", [False, True])
def test_names_on_standard_error_cannot_either(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, live: bool
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes the live display show itself
    with open_display("server \x1b[2J\x9bevil", live=live) as display:
        display.update(Status(phase="\x1b]0;title\x07"))
    say("server \x1b[2J is gone")
    shown = capsys.readouterr().err
    assert "\x1b[2J" not in shown
    assert not {"\x9b", "\x07"} & set(shown)
    assert shown.count("evil") >= 1


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ("", "hello", "hello"),
        ("hello", "hello", ""),
        ("hello", "hello world", " world"),
        ("x" * 3000 + "end", "x" * 2500 + "end more", " more"),
        ("old machine", "new machine boots", "new machine boots"),
        ("something", "", ""),
    ],
)
def test_following_a_console_prints_only_what_is_new(before: str, now: str, expected: str) -> None:
    assert new_output(before, now) == expected
