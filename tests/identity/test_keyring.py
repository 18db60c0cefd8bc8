import multiprocessing
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.errors import UnavailableError
from stillframe.identity.keyring import KeyRing


def test_what_one_ring_encrypts_another_on_the_same_file_decrypts(tmp_path: Path) -> None:
    first, second = KeyRing(tmp_path / "k"), KeyRing(tmp_path / "k")
    assert second.decrypt(first.encrypt(b"text")) == b"text"


def test_the_key_file_is_only_for_its_owner(tmp_path: Path) -> None:
    KeyRing(tmp_path / "k")
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


@pytest.mark.parametrize("content", [b"", b"\n", b"not a key", b"\xff" * 44])
def test_a_damaged_key_file_is_named_and_never_replaced(tmp_path: Path, content: bytes) -> None:
    """A new key in its place would silently make every access key worthless."""
    (tmp_path / "k").write_bytes(content)
    with pytest.raises(UnavailableError, match=str(tmp_path / "k")):
        KeyRing(tmp_path / "k")
    assert (tmp_path / "k").read_bytes() == content


def test_another_key_decrypts_nothing(tmp_path: Path) -> None:
    assert KeyRing(tmp_path / "other").decrypt(KeyRing(tmp_path / "k").encrypt(b"text")) is None


@pytest.mark.parametrize("length", [15, 31, 47])
def test_a_text_is_understood_in_one_spelling_only(tmp_path: Path, length: int) -> None:
    """Decoding base 64 skips what is no letter of it and ignores the last bits: none of that is what was given out."""
    ring = KeyRing(tmp_path / "k")
    text = ring.encrypt(b"x" * length)
    others = {text[:-1] + letter for letter in string.ascii_letters + string.digits + "-_"} - {text}
    others |= {text + junk for junk in ("!", "@#", " ", "%", "=A", "é")}
    others |= {text[:9] + "." + text[9:], text.replace("-", "+").replace("_", "/") + "!"}
    assert [other for other in others if ring.decrypt(other) is not None] == []
    assert ring.decrypt(text) == b"x" * length


def test_a_text_of_before_the_rotation_is_still_understood_until_its_key_is_dropped(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "k")
    old = ring.encrypt(b"text")
    ring.rotate(keep=1)
    assert ring.decrypt(old) == b"text"
    ring.rotate(keep=1)
    assert ring.decrypt(old) is None


def test_other_processes_notice_a_rotation_by_themselves(tmp_path: Path) -> None:
    """A ring that is open somewhere else meets a text made with a key it has not read yet."""
    here, elsewhere = KeyRing(tmp_path / "k"), KeyRing(tmp_path / "k")
    elsewhere.rotate()
    assert here.decrypt(elsewhere.encrypt(b"text")) == b"text"


def _encrypt_in_another_process(
    path: Path, barrier: "multiprocessing.synchronize.Barrier", texts: "multiprocessing.Queue[str]"
) -> None:
    barrier.wait()
    texts.put(KeyRing(path).encrypt(b"text"))


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier, texts = context.Barrier(6), context.Queue()
    processes = [
        context.Process(target=_encrypt_in_another_process, args=(tmp_path / "k", barrier, texts)) for _ in range(6)
    ]
    for process in processes:
        process.start()
    made = [texts.get(timeout=30) for _ in processes]
    for process in processes:
        process.join()
    ring = KeyRing(tmp_path / "k")
    assert [ring.decrypt(text) for text in made] == [b"text"] * 6


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("ring") / "k")


@given(plain=st.binary(max_size=300))
def test_a_text_is_safe_in_urls_and_headers_and_comes_back_whole(ring: KeyRing, plain: bytes) -> None:
    text = ring.encrypt(plain)
    assert text.replace("-", "").replace("_", "").isalnum()
    assert ring.decrypt(text) == plain


@given(text=st.text(max_size=200))
def test_foreign_text_is_never_an_error(ring: KeyRing, text: str) -> None:
    assert ring.decrypt(text) is None
