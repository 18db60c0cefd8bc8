import shutil
import tempfile
from pathlib import Path

import pytest

from stillframe.errors import UnavailableError
from stillframe.qemu import accelerator
from tests.qemu.disks import tool

pytestmark = pytest.mark.boot

PROGRAM = "qemu-system-x86_64"


def probes_left(scratch: Path) -> list[str]:
    lines = (entry.read_text() for entry in Path("/proc").glob("[0-9]*/cmdline") if entry.exists())
    return [line for line in lines if line.startswith(PROGRAM) and str(scratch) in line]


async def test_a_guest_really_ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a host whose /dev/kvm opens and never executes a guest, this is TCG, and no probe is left running."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = await accelerator.probe_accelerator(3.0)
    assert found.kind in {"kvm", "tcg"}
    assert found.reason
    assert int(found.qemu_version.split(".")[0]) >= 5
    assert probes_left(tmp_path) == []


@pytest.mark.skipif(not (shutil.which("as") and shutil.which("objcopy")), reason="no assembler")
def test_the_guest_is_what_its_source_says(tmp_path: Path) -> None:
    source = Path(accelerator.__file__).with_name("probe_guest.S")
    tool("as", "--32", str(source), "-o", str(tmp_path / "guest.o"))
    tool("objcopy", "-O", "binary", "-j", ".text", str(tmp_path / "guest.o"), str(tmp_path / "guest.bin"))
    assert (tmp_path / "guest.bin").read_bytes() == accelerator._FIRMWARE


class Host:
    """One on which KVM works or not, and how often somebody tried."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
        self.kind: accelerator.AcceleratorKind = "tcg"
        self.probes = 0
        self.kvm = directory / "kvm"
        self.kvm.touch()
        self._patch = monkeypatch
        monkeypatch.setenv("XDG_CACHE_HOME", str(directory / "cache"))
        monkeypatch.setattr(accelerator, "_KVM", self.kvm)
        monkeypatch.setattr(accelerator, "probe_accelerator", self._probe)

    async def _probe(self) -> accelerator.Accelerator:
        self.probes += 1
        return accelerator.Accelerator(kind=self.kind, reason="", qemu_version="7.2")

    async def choose_in_a_new_process(self) -> accelerator.AcceleratorKind:
        self._patch.setattr(accelerator, "_chosen", [])
        return await accelerator.choose()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    return Host(monkeypatch, tmp_path)


async def test_the_choice_is_made_once_for_all_processes_of_a_host(host: Host, tmp_path: Path) -> None:
    assert await host.choose_in_a_new_process() == "tcg"
    assert await accelerator.choose() == "tcg"
    assert await host.choose_in_a_new_process() == "tcg"
    assert host.probes == 1
    (tmp_path / "cache" / "stillframe" / "accelerator.json").write_text("{")
    assert await host.choose_in_a_new_process() == "tcg"
    assert host.probes == 2


async def test_a_device_that_changes_is_tried_again(host: Host) -> None:
    await host.choose_in_a_new_process()
    host.kind = "kvm"
    host.kvm.chmod(0o660)
    assert await host.choose_in_a_new_process() == "kvm"
    host.kvm.unlink()
    host.kind = "tcg"
    assert await host.choose_in_a_new_process() == "tcg"


async def test_that_kvm_got_nowhere_is_not_believed_for_ever(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    await host.choose_in_a_new_process()
    host.kind = "kvm"
    monkeypatch.setattr(accelerator, "TRY_KVM_AGAIN_S", 0.0)
    assert await host.choose_in_a_new_process() == "kvm"
    assert await host.choose_in_a_new_process() == "kvm"
    assert host.probes == 2


async def test_a_host_without_kvm_emulates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("stillframe.qemu.sandbox._KVM", tmp_path / "none")
    found = await accelerator.probe_accelerator(3.0)
    assert (found.kind, found.reason) == ("tcg", "emulated: there is no /dev/kvm")


async def test_a_guest_that_does_not_reach_its_end_is_no_proof(tmp_path: Path) -> None:
    """Firmware of nothing but halts: it runs, and says nothing."""
    firmware = tmp_path / "firmware"
    firmware.write_bytes(b"\xf4" * 65536)
    assert await accelerator._problem_with("tcg", firmware, 1.0) == "a guest under TCG got nowhere in 1 s"


async def test_a_missing_or_broken_qemu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "PROGRAM", "qemu-system-missing")
    with pytest.raises(UnavailableError, match="not installed"):
        await accelerator.probe_accelerator(3.0)
    monkeypatch.setattr(accelerator, "PROGRAM", "false")
    with pytest.raises(UnavailableError, match="does not run"):
        await accelerator.probe_accelerator(3.0)
