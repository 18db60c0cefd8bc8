"""Key pairs: what is made, what is taken in, what is refused."""

import asyncio

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from stillframe.errors import InvalidInputError, KeypairExistsError, KeypairNotFoundError, LimitExceededError
from stillframe.servers import keypairs
from tests.servers.world import World, caller

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
EC_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()


def in_one_line(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey, comment: str = "me@laptop") -> str:
    encoded = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return f"{encoded.decode()} {comment}"


async def test_a_generated_private_key_fits_its_public_one(world: World) -> None:
    async with world.database.writing() as tx:
        made = await keypairs.generate_keypair(tx, caller(), "laptop")
        shown = await keypairs.get_keypair(tx, caller(), "laptop")
    assert shown == made.keypair
    private = serialization.load_ssh_private_key(made.private_key.encode(), password=None)
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert made.keypair.public_key.startswith(public.decode())
    assert made.private_key not in repr(shown)


@pytest.mark.parametrize("key", [RSA_KEY, EC_KEY], ids=["rsa", "ecdsa"])
async def test_keys_of_others_are_taken_in(world: World, key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> None:
    async with world.database.writing() as tx:
        made = await keypairs.import_keypair(tx, caller(), "theirs", f"\n{in_one_line(key)}\n")
    assert made.public_key == in_one_line(key)
    assert len(made.fingerprint.split(":")) == 16


def test_a_fingerprint_is_the_one_that_ssh_keygen_shows() -> None:
    """`ssh-keygen -l -E md5` says so of this key."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG1nEn8J6kFRtZ1uVhQUx0a3Y0yG8fSO2S5QvWbWlpGJ"
    assert keypairs.fingerprint_of(key) == "b3:44:4f:e7:18:df:ca:35:0a:d7:7f:dc:0e:72:ca:d6"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-rsa",
        "ssh-rsa AAAA",
        "ssh-dss AAAAB3NzaC1kc3M=",
        "ssh-rsa " + "A" * 20000,
        'command="rm -rf /" ' + in_one_line(EC_KEY),
        in_one_line(EC_KEY) + "\n" + in_one_line(EC_KEY),
        in_one_line(EC_KEY)[:60],
        "ssh-rsa ÄÖÜ",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ],
    ids=range(10),
)
async def test_what_is_no_public_key_is_refused(world: World, text: str) -> None:
    async with world.database.writing() as tx:
        with pytest.raises(InvalidInputError):
            await keypairs.import_keypair(tx, caller(), "bad", text)


@pytest.mark.parametrize("name", ["", " ", "a/b", "x" * 256, "tab\there", "nul\x00", "ümlaut", " padded "])
async def test_names_that_cannot_be_looked_up_are_refused(world: World, name: str) -> None:
    async with world.database.writing() as tx:
        with pytest.raises(InvalidInputError):
            await keypairs.generate_keypair(tx, caller(), name)
        if name.strip(" ") == name:
            with pytest.raises(KeypairNotFoundError):
                await keypairs.get_keypair(tx, caller(), name)


async def test_of_two_with_one_name_at_once_one_wins(world: World) -> None:
    async def generate() -> None:
        async with world.database.writing() as tx:
            await keypairs.generate_keypair(tx, caller(), "laptop")

    outcomes = await asyncio.gather(*(generate() for _ in range(4)), return_exceptions=True)
    assert sorted(str(type(outcome).__name__) for outcome in outcomes) == ["KeypairExistsError"] * 3 + ["NoneType"]
    assert any(isinstance(outcome, KeypairExistsError) for outcome in outcomes)


async def test_a_user_has_at_most_a_hundred(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypairs, "MAX_KEYPAIRS", 2)
    async with world.database.writing() as tx:
        await keypairs.generate_keypair(tx, caller(), "one")
        await keypairs.generate_keypair(tx, caller(), "two")
        with pytest.raises(LimitExceededError):
            await keypairs.generate_keypair(tx, caller(), "three")


async def test_a_deleted_key_is_gone(world: World) -> None:
    async with world.database.writing() as tx:
        await keypairs.generate_keypair(tx, caller(), "laptop")
        await keypairs.delete_keypair(tx, caller(), "laptop")
        with pytest.raises(KeypairNotFoundError):
            await keypairs.delete_keypair(tx, caller(), "laptop")
        assert await keypairs.list_keypairs(tx, caller()) == []
