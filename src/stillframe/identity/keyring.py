"""Symmetric keys in a file that every process of this data directory shares.

One key a line, the newest first: the first one encrypts, all of them decrypt, so a key can be replaced while texts made
with the old one are still around.
"""

import base64
import binascii
import contextlib
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from stillframe.errors import UnavailableError

_Stamp = tuple[int, int, int]


class KeyRing:
    """Encrypts and signs short texts (Fernet: AES-CBC with HMAC-SHA256). A missing key file is made.

    Raises: OSError when the file can neither be read nor made; UnavailableError when it holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            _create_once(path, Fernet.generate_key())
        self._stamp, self._fernet = _read(path)

    def encrypt(self, plain: bytes) -> str:
        """URL-safe: the padding, which is not, is left out."""
        return self._fernet.encrypt(plain).decode().rstrip("=")

    def decrypt(self, text: str) -> bytes | None:
        """None when the text was not made with a key of this ring, or is written in another way than it was made."""
        padded = _padded(text)
        if padded is None:
            return None
        plain = self._try(padded)
        if plain is None and self._reload():
            plain = self._try(padded)
        return plain

    def rotate(self, *, keep: int = 2) -> None:
        """Puts a new key in front and keeps the newest `keep` of the old; other processes notice by themselves."""
        old = self._path.read_bytes().split()
        _replace(self._path, b"\n".join([Fernet.generate_key(), *old[:keep]]))
        self._stamp, self._fernet = _read(self._path)

    def _try(self, padded: str) -> bytes | None:
        try:
            return self._fernet.decrypt(padded)
        except InvalidToken:
            return None

    def _reload(self) -> bool:
        """Whether another process has changed the file since it was read; only asked when a text is not understood."""
        if _stamp(self._path) == self._stamp:
            return False
        self._stamp, self._fernet = _read(self._path)
        return True


def _padded(text: str) -> str | None:
    """None for a second spelling of the same bytes: decoding skips foreign letters and ignores the last bits."""
    padded = text + "=" * (-len(text) % 4)
    try:
        same = base64.urlsafe_b64encode(base64.urlsafe_b64decode(padded))
    except (ValueError, binascii.Error):
        return None
    return padded if same == padded.encode() else None


def _read(path: Path) -> tuple[_Stamp, MultiFernet]:
    # The stamp is taken first: a change between the two is then seen as a change next time, never missed.
    stamp = _stamp(path)
    try:
        return stamp, MultiFernet([Fernet(key) for key in path.read_bytes().split()])
    except ValueError:
        raise UnavailableError(
            f"The key file {path} is damaged; without it no token and no access key works."
        ) from None


def _stamp(path: Path) -> _Stamp:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _create_once(path: Path, content: bytes) -> None:
    """The first process wins; the others find the complete file of the winner, never half of one."""
    temporary = _write_beside(path, content)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()


def _replace(path: Path, content: bytes) -> None:
    _write_beside(path, content).replace(path)


def _write_beside(path: Path, content: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return temporary
