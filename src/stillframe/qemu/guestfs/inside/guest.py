"""The files of a guest, and a record of what was changed in it."""

import re
from typing import Any

MAX_TEXT_BYTES = 256 * 1024
"""No configuration file is longer; what is, is left alone."""
MAX_ENTRIES = 60
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


class Guest:
    """Paths are the guest's own. Everything happens in the appliance, below the guest's root: links cannot lead out."""

    def __init__(self, handle: Any, *, distro: str = "", major: int = 0) -> None:
        self.handle = handle
        self.distro = distro
        self.major = major
        self.changes: list[str] = []
        self.notes: list[str] = []

    @property
    def has_cloud_init(self) -> bool:
        return self.has_file("/usr/bin/cloud-init")

    def changed(self, sentence: str) -> None:
        _add(self.changes, sentence)

    def noted(self, sentence: str) -> None:
        _add(self.notes, sentence)

    def has_file(self, path: str) -> bool:
        return bool(self.handle.is_file(path, followsymlinks=True))

    def has_directory(self, path: str) -> bool:
        return bool(self.handle.is_dir(path, followsymlinks=True))

    def is_link(self, path: str) -> bool:
        return bool(self.handle.is_symlink(path))

    def names(self, pattern: str) -> list[str]:
        """Files and links that match, sorted; directories have a slash at their end."""
        try:
            return sorted(self.handle.glob_expand(pattern, directoryslash=True))
        except UnicodeDecodeError:
            self.noted(f"{pattern}: left as they are, for some names are not UTF-8")
            return []

    def read(self, path: str) -> str | None:
        """None for what is not there, not a file, or no text of ordinary length."""
        if not self.has_file(path) or self.handle.filesize(path) > MAX_TEXT_BYTES:
            return None
        try:
            return bytes(self.handle.read_file(path)).decode()
        except UnicodeDecodeError:
            return None

    def write(self, path: str, text: str) -> None:
        """Into the file that is there, which keeps its owner, mode and labels; else a new one of root's, mode 0644."""
        self.handle.write(path, text.encode())

    def rewrite(self, path: str, text: str | None, new_text: str | None, sentence: str) -> None:
        """Only where there was something to change."""
        if text is not None and new_text is not None and new_text != text:
            self.write(path, new_text)
            self.changed(f"{path}: {sentence}")

    def remove(self, path: str, sentence: str = "removed") -> None:
        self.handle.rm_f(path)
        self.changed(f"{path}: {sentence}")

    def remove_tree(self, path: str, sentence: str = "removed") -> None:
        self.handle.rm_rf(path)
        self.changed(f"{path}: {sentence}")


def _add(entries: list[str], sentence: str) -> None:
    """Names in the sentence are the guest's: shown, never long, never anything a terminal or a database minds."""
    if len(entries) < MAX_ENTRIES:
        entries.append(_UNPRINTABLE.sub("?", sentence)[:300])
    elif len(entries) == MAX_ENTRIES:
        entries.append("and more")
