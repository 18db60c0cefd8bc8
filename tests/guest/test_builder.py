from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stillframe.errors import UnavailableError
from stillframe.guest import default_cache_dir, public_image
from stillframe.guest.kernel import fetch_kernel


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An empty cache, but for the kernel where the set-up has fetched one."""
    kernel = default_cache_dir() / "kernel"
    if kernel.exists():
        (tmp_path / "kernel").symlink_to(kernel)
    return tmp_path


def test_callers_at_the_same_time_get_one_whole_image(cache: Path) -> None:
    with ThreadPoolExecutor() as pool:
        images = set(pool.map(public_image, [cache, cache]))
    assert len(images) == 1
    assert images == {path for path in cache.iterdir() if path.name != "kernel"}


def test_an_image_in_the_cache_is_not_built_again(cache: Path) -> None:
    built = public_image(cache)
    built.write_bytes(b"left alone")
    assert public_image(cache) == built
    assert built.read_bytes() == b"left alone"


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"install the Debian packages .*mtools qemu-utils"):
        public_image(tmp_path / "cache")


def test_a_kernel_can_be_fetched_where_none_is_installed(tmp_path: Path) -> None:
    try:
        kernel = fetch_kernel(tmp_path)
    except UnavailableError as error:
        pytest.skip(f"apt delivers nothing here: {error.cause}")
    assert (kernel.root / "boot" / f"vmlinuz-{kernel.version}").stat().st_size > 1_000_000
    assert (kernel.root / "lib/modules" / kernel.version / "modules.dep").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["kernel"]
