import asyncio
import time

import argon2
import pytest

from stillframe.identity import passwords
from stillframe.identity.passwords import hash_password, password_matches


@pytest.fixture(autouse=True)
def _at_the_real_cost(cheap_passwords: argon2.PasswordHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_HASHER", cheap_passwords)


async def test_only_the_right_password_matches() -> None:
    hashed = await hash_password("pässword\0 with anything")
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await password_matches(hashed, "pässword\0 with anything")
    assert not await password_matches(hashed, "pässword")


@pytest.mark.parametrize("stored", [None, "", "not a hash", "$argon2id$v=19$m=8,t=1,p=1$AAAA"])
async def test_nobody_without_a_usable_hash_gets_in(stored: str | None) -> None:
    assert not await password_matches(stored, "")


async def test_an_unknown_user_is_refused_no_quicker_than_a_known_one() -> None:
    """The best of a few, since other work on the machine only ever makes things slower."""
    hashed = await hash_password("right")

    async def fastest(stored: str | None) -> float:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            await password_matches(stored, "wrong")
            times.append(time.perf_counter() - started)
        return min(times)

    assert await fastest(None) > 0.6 * await fastest(hashed)


async def test_the_event_loop_goes_on_while_a_password_is_checked() -> None:
    checking = asyncio.create_task(hash_password("x"))
    turns = 0
    while not checking.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 5
