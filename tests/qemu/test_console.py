from pathlib import Path

from stillframe.qemu.console import CONSOLE_LOG, read_console, trim_logs


async def test_the_end_of_the_log_comes_back_as_text(tmp_path: Path) -> None:
    (tmp_path / CONSOLE_LOG).write_bytes(b"one\r\ntwo\r\n\xff\xfethree\r\n")
    assert await read_console(tmp_path) == "one\ntwo\n\ufffd\ufffdthree\n"
    assert await read_console(tmp_path, max_lines=1) == "\ufffd\ufffdthree\n"
    assert await read_console(tmp_path, max_lines=0) == ""
    assert await read_console(tmp_path, max_bytes=7) == "three\n"


async def test_a_machine_that_never_ran_has_said_nothing(tmp_path: Path) -> None:
    assert await read_console(tmp_path) == ""
    await trim_logs(tmp_path, 100)


async def test_a_log_is_cut_to_whole_lines_and_a_short_one_left_alone(tmp_path: Path) -> None:
    log = tmp_path / CONSOLE_LOG
    log.write_bytes(b"".join(b"line %03d\n" % number for number in range(100)))
    await trim_logs(tmp_path, 900)
    assert log.stat().st_size == 900
    await trim_logs(tmp_path, 200)
    assert log.read_bytes() == b"".join(b"line %03d\n" % number for number in range(89, 100))
