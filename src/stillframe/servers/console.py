"""What a server's guest has said on its serial console."""

from stillframe.blobs.layout import DataLayout
from stillframe.qemu import console

MAX_OUTPUT_BYTES = 100 * 1024


async def read_console(layout: DataLayout, server_id: str, max_lines: int | None = None) -> str:
    """The end of it, at most 100 KiB and `max_lines` lines; empty for a server that never ran."""
    return await console.read_console(layout.machine_dir(server_id), max_bytes=MAX_OUTPUT_BYTES, max_lines=max_lines)
