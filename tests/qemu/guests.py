"""Guests of 512 bytes: a boot sector is all it takes to see whether a machine really runs what its disk says."""

from pathlib import Path

from tests.qemu.disks import tool, write_pattern

# Real mode, loaded at 0x7c00 by the BIOS.
_START = bytes.fromhex("fa 31c0 8ed8 8ec0")  # cli; ax, ds and es are 0
_WRITE_SECOND_SECTOR = bytes.fromhex("b80103 b90200 ba8000 bb007c cd13")  # int 13h: this sector goes to LBA 1
_PRINT = bytes.fromhex("be{msg} baf803 ac 84c0 7403 ee ebf8".replace("{msg}", "0000"))  # to COM1, up to a zero byte
_POWER_OFF_WHEN_ASKED = bytes.fromhex(
    "ba0206 b80001 ef"  # PM1_EN: the power button is to be reported
    "ba0006 ed f6c401 74fa"  # until PM1_STS says it was pressed
    "ba0406 b80020 ef"  # PM1_CNT: S5
)
_HALT = bytes.fromhex("f4 ebfd")


def boot_sector(greeting: str, *, obeys_power_button: bool = True, writes: bool = False) -> bytes:
    """Says the greeting on its serial port, then waits for the power button, or for ever."""
    code = _START + (_WRITE_SECOND_SECTOR if writes else b"")
    rest = (_POWER_OFF_WHEN_ASKED if obeys_power_button else b"") + _HALT
    text_at = 0x7C00 + len(code) + len(_PRINT) + len(rest)
    code += _PRINT[:1] + text_at.to_bytes(2, "little") + _PRINT[3:] + rest
    return (code + f"{greeting}\r\n".encode() + b"\0").ljust(510, b"\0") + b"\x55\xaa"


def bootable_disk(path: Path, sector: bytes, size: str = "16M") -> Path:
    """A qcow2 disk that boots the sector."""
    raw = path.with_suffix(".sector")
    raw.write_bytes(sector)
    tool("qemu-img", "create", "-q", "-f", "qcow2", str(path), size)
    tool("qemu-io", "-f", "qcow2", "-c", f"write -s {raw} 0 512", str(path))
    raw.unlink()
    write_pattern(path, 7, "1M", "1M")
    return path
