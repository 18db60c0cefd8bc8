"""What a caller can do with flavors: look at them."""

from stillframe.db import Transaction
from stillframe.errors import FlavorNotFoundError
from stillframe.flavors import rows
from stillframe.flavors.model import BUILT_IN, Flavor


async def bootstrap_flavors(tx: Transaction) -> None:
    """Adds the built-in flavors that are missing; those an operator has changed stay as they are. Safe to repeat."""
    known = {flavor.id for flavor in await rows.list_flavors(tx)}
    for flavor in BUILT_IN:
        if flavor.id not in known:
            await rows.insert_flavor(tx, flavor)


async def get_flavor(tx: Transaction, flavor_id: str) -> Flavor:
    """`flavor_id` may be any text. Raises: FlavorNotFoundError."""
    flavor = await rows.get_flavor(tx, flavor_id) if flavor_id.isprintable() else None
    if flavor is None:
        raise FlavorNotFoundError(f"Flavor {flavor_id[:255]} could not be found.")
    return flavor


async def list_flavors(
    tx: Transaction, *, min_ram_mib: int = 0, min_disk_gib: int = 0, is_public: bool | None = True
) -> list[Flavor]:
    """Smallest first; `is_public` None lists public and private ones. No flavor brings a disk, so `min_disk_gib` above
    zero finds none.
    """
    return [
        flavor
        for flavor in await rows.list_flavors(tx)
        if flavor.ram_mib >= min_ram_mib and min_disk_gib <= 0 and is_public in {None, flavor.is_public}
    ]
