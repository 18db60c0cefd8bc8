"""Following a job: what is shown, how often is asked, and how it can end."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import time

import pytest

from stillframe.cli import polling
from stillframe.cli.errors import CliError, ExitCode
from stillframe.cli.progress import PlainDisplay, Rate, Status
from tests.cli.conftest import Cli
from tests.cli.standin import PROJECT_ID, Answer, StandIn, job, unauthorized

JOB_ID = "8a12fc664fb4daa3014fb4e581380005"
JOB_PATH = f"/v1/{PROJECT_ID}/jobs/{JOB_ID}"


def running(percent: float, phase: str = "flattening", **more: int) -> Answer:
    return job("RUNNING", entities={"process_percent": percent, "current_task": phase} | more)


def test_progress_is_one_line_per_change_on_stderr_and_json_alone_on_stdout(cli: Cli, cloud: StandIn) -> None:
    done_job = job("SUCCESS", entities={"image_id": "i"})
    cloud.on("GET", JOB_PATH, running(0), running(0), running(4), running(60), running(1, "verifying"), done_job)
    done = cli.run("job", "watch", JOB_ID, "-o", "json", check=0)
    assert json.loads(done.stdout)["status"] == "SUCCESS"
    phases = [line.split(": ", 1)[1].split(",")[0] for line in done.stderr.splitlines()]
    assert phases == ["flattening", "flattening", "verifying", "SUCCESS"]
    assert "60 %" in done.stderr


def test_a_terminal_shows_one_live_line_that_goes_away(cli: Cli, cloud: StandIn) -> None:
    steps = [running(percent, bytes_done=percent * 2**20, bytes_total=100 * 2**20) for percent in range(0, 100, 10)]
    cloud.on("GET", JOB_PATH, *steps, job("SUCCESS"))
    terminal, other_end = pty.openpty()
    argv = cli.argv("job", "watch", JOB_ID, "-o", "json")
    environ = cli.environ | {"TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(argv, env=environ, cwd=cli.home, stdout=subprocess.PIPE, stderr=other_end)
    os.close(other_end)
    shown = b""
    with contextlib.suppress(OSError):  # the other end was closed
        while piece := os.read(terminal, 65536):
            shown += piece
    os.close(terminal)
    result = process.communicate(timeout=20)[0]
    assert process.returncode == 0
    assert json.loads(result)["status"] == "SUCCESS"
    text = shown.decode()
    assert all(part in text for part in ("flattening", "MiB/s", " left", "━", "90%"))
    assert text.count("\n") <= 1


def test_ctrl_c_tells_that_the_job_goes_on_and_how_to_watch_it(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", JOB_PATH, running(10))
    process = cli.start("job", "watch", JOB_ID)
    while not cloud.sent("GET", JOB_PATH):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == ExitCode.INTERRUPTED
    assert f"stillframe job watch {JOB_ID}" in errors
    assert "Traceback" not in errors


def test_a_short_outage_does_not_end_the_waiting(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", JOB_PATH, running(10), Answer(503), Answer(502), running(20), job("SUCCESS"))
    cli.run("job", "watch", JOB_ID, check=0)


def test_a_token_revoked_while_waiting_is_renewed(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", JOB_PATH, running(10), unauthorized(), running(20), job("SUCCESS"))
    cli.run("job", "watch", JOB_ID, check=0)
    assert cloud.token_requests == 2


def test_an_outage_that_lasts_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "OUTAGE_S", 0.3)

    def ask() -> None:
        raise CliError("down", exit_code=ExitCode.UNREACHABLE)

    with pytest.raises(CliError, match="down"):
        polling.poll(ask, lambda _: True)


def test_other_failures_end_the_waiting_at_once() -> None:
    asked = 0

    def ask() -> None:
        nonlocal asked
        asked += 1
        raise CliError("no", exit_code=ExitCode.NOT_FOUND)

    with pytest.raises(CliError, match="no"):
        polling.poll(ask, lambda _: True)
    assert asked == 1


def test_asking_starts_often_and_becomes_seldom() -> None:
    delays = polling.poll_delays()
    first = [next(delays) for _ in range(20)]
    assert first[0] == pytest.approx(0.1)
    assert first[-1] == pytest.approx(2.0)
    assert first == sorted(first)


def test_many_small_steps_make_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    display = PlainDisplay("job")
    for tenth in range(1001):
        display.update(Status(phase="copying", percent=tenth / 10))
    assert len(capsys.readouterr().err.splitlines()) == 11


def test_rate_and_time_left_come_from_bytes_where_they_are_known() -> None:
    rate = Rate()
    for second in range(5):
        status = Status(phase="copying", percent=second * 10, bytes_done=second * 1024**2, bytes_total=10 * 1024**2)
        rate.add(status, float(second))
    assert rate.describe(status) == ["1.0 MiB/s", "6.0 s left"]


def test_rate_and_time_left_come_from_the_percentage_otherwise() -> None:
    rate = Rate()
    for second in range(3):
        status = Status(phase="copying", percent=second * 25.0)
        rate.add(status, float(second))
    assert rate.describe(status) == ["25.0 %/s", "2.0 s left"]


def test_a_new_phase_starts_its_own_rate() -> None:
    rate = Rate()
    rate.add(Status(phase="copying", percent=90), 0.0)
    rate.add(Status(phase="copying", percent=99), 1.0)
    status = Status(phase="verifying", percent=1)
    rate.add(status, 2.0)
    assert rate.describe(status) == []
