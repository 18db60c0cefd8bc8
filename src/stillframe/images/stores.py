"""Where images' data can be kept, in the words of Glance: this service has one store, its own disk."""

from collections.abc import Collection

from stillframe.images.errors import StoreNotFoundError

STORE_ID = "local"
DESCRIPTION = "The disk of this service"


def require_known(store_ids: Collection[str]) -> None:
    """Raises: StoreNotFoundError."""
    for store_id in store_ids:
        if store_id != STORE_ID:
            raise StoreNotFoundError(f"There is no store {store_id[:255]!r}.")
