"""Which access keys open which project's buckets: those of IAM, and EC2 pairs."""

from stillframe.db import Transaction
from stillframe.identity import access_keys, credentials, standings
from stillframe.identity.access_keys import BucketAccount
from stillframe.identity.model import Scope
from stillframe.identity.tokens import TokenKeys


async def lookup_access_key(tx: Transaction, keys: TokenKeys, access: str) -> BucketAccount | None:
    """None for a key that opens nothing (any more): unknown, disabled, over, or its user may not use the project."""
    found = await access_keys.lookup_access_key(tx, keys, access)
    if found is not None:
        return found
    pair = await credentials.find_ec2(tx, keys, access)
    if pair is None:
        return None
    scope = Scope(project_id=pair.project_id)
    standing = await standings.get_standing(tx, pair.user_id, scope)
    if standing is None or not standing.holds(scope):
        return None
    return BucketAccount(access, pair.secret, pair.project_id)
