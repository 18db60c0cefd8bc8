import asyncio
import contextlib
import logging
import sys
import time
from pathlib import Path

import pytest

from stillframe.errors import ToolFailedError
from stillframe.qemu.runner import STDERR_TAIL_BYTES, ToolPolicy, run_tool

POLICY = ToolPolicy()


def sleepers(text: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and (entry / "cmdline").read_text() == f"sleep\0{text}\0":
                found.append(int(entry.name))
    return found


async def arrived(text: str) -> None:
    for _ in range(500):
        if sleepers(text):
            return
        await asyncio.sleep(0.02)
    pytest.fail("the tool has not started")


async def gone(text: str) -> bool:
    for _ in range(100):
        if not sleepers(text):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_the_output_and_the_time_come_back() -> None:
    done = await run_tool(["echo", "hello"], policy=POLICY, timeout_s=10)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\n", "")
    assert 0 < done.seconds < 10


async def test_a_failure_carries_the_end_of_stderr_as_its_cause_only() -> None:
    script = f"head -c {3 * STDERR_TAIL_BYTES} /dev/zero | tr '\\0' x >&2; echo ' the reason' >&2; exit 3"
    with pytest.raises(ToolFailedError) as failed:
        await run_tool(["sh", "-c", script], policy=POLICY, timeout_s=10)
    assert "ended with 3" in str(failed.value.cause)
    assert str(failed.value.cause).endswith("the reason")
    assert len(str(failed.value.cause)) < STDERR_TAIL_BYTES + 100
    assert "reason" not in failed.value.message


async def test_a_code_that_is_expected_is_no_failure() -> None:
    assert (await run_tool(["sh", "-c", "exit 1"], policy=POLICY, timeout_s=10, ok_codes=(0, 1))).returncode == 1


async def test_a_tool_that_does_not_exist_is_a_failure() -> None:
    with pytest.raises(ToolFailedError):
        await run_tool(["no-such-tool-here"], policy=POLICY, timeout_s=10)


async def test_lines_are_handed_out_as_they_come() -> None:
    seen: list[tuple[float, bytes]] = []
    script = "printf 'one\\r'; sleep 0.3; printf 'two\\nthree'"
    await run_tool(
        ["sh", "-c", script], policy=POLICY, timeout_s=10, on_line=lambda line: seen.append((time.monotonic(), line))
    )
    assert [line for _, line in seen] == [b"one", b"two", b"three"]
    assert seen[1][0] - seen[0][0] > 0.2


async def test_a_flood_of_output_ends_the_tool() -> None:
    with pytest.raises(ToolFailedError) as failed:
        await run_tool(["sh", "-c", "sleep 60.125 & yes"], policy=POLICY, timeout_s=20)
    assert "wrote more than" in str(failed.value.cause)
    assert await gone("60.125")


async def test_an_overdue_tool_is_killed_with_all_it_started() -> None:
    with pytest.raises(ToolFailedError) as failed:
        await run_tool(["sh", "-c", "sleep 61.25 & sleep 61.25"], policy=POLICY, timeout_s=0.3)
    assert "killed after" in str(failed.value.cause)
    assert await gone("61.25")


async def test_cancelling_kills_the_tool_and_all_it_started_before_it_returns() -> None:
    running = asyncio.create_task(
        run_tool(["sh", "-c", "trap '' TERM; sleep 62.5 & sleep 62.5"], policy=POLICY, timeout_s=60)
    )
    await arrived("62.5")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await gone("62.5")


@pytest.mark.parametrize("in_path", ["/usr/bin:/bin", "/nowhere"], ids=["best of the host", "limits only"])
async def test_a_tool_dies_with_the_process_that_started_it(in_path: str) -> None:
    script = (
        f"import asyncio, os; os.environ['PATH'] = '{in_path}';"
        "from stillframe.qemu.host import host_sandbox; from stillframe.qemu.runner import *;"
        "sandbox = asyncio.run(host_sandbox()); os.environ['PATH'] = '/usr/bin:/bin';"
        "asyncio.run(run_tool(['sleep', '63.75'], policy=ToolPolicy(), timeout_s=60, sandbox=sandbox))"
    )
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    try:
        await arrived("63.75")
    finally:
        worker.kill()
        await worker.wait()
    assert await gone("63.75")


async def test_a_line_that_can_be_pasted_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="stillframe.qemu"):
        await run_tool(["echo", "two words"], policy=POLICY, timeout_s=10)
    assert "echo 'two words'  # exit 0 after" in caplog.text


async def test_the_environment_and_the_input_are_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_PASSWORD", "secret")
    done = await run_tool(["sh", "-c", "env; cat"], policy=POLICY, timeout_s=10)
    assert b"LC_ALL=C" in done.stdout
    assert b"secret" not in done.stdout
