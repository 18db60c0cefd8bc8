"""Who a token stands for, worked out once and taken for true while nothing in the database has changed."""

from collections import OrderedDict
from collections.abc import Hashable

from stillframe.db import Database
from stillframe.identity.model import Caller
from stillframe.identity.service import validate_token
from stillframe.identity.tokens import TokenKeys
from stillframe.kit.clock import utcnow

MAX_CALLERS = 4096


class CallerMemory:
    """Of one process, for all its services. Revocation counts at once: it is a commit, and commits are noticed.

    PostgreSQL is asked about the token each time: asking whether anything has changed would cost as much.
    """

    def __init__(self, database: Database, keys: TokenKeys) -> None:
        self._database = database
        self._keys = keys
        self._known: OrderedDict[str, tuple[Hashable, Caller]] = OrderedDict()

    async def of(self, token: str) -> Caller:
        """Raises: UnauthenticatedError."""
        version = await self._database.version() if self._database.version_is_cheap else None
        known = self._known.get(token)
        if known is not None and known[0] == version and utcnow() < known[1].expires_at:
            self._known.move_to_end(token)
            return known[1]
        async with self._database.reading() as tx:
            caller = await validate_token(tx, self._keys, token)
        if version is not None:
            self._known[token] = (version, caller)
            if len(self._known) > MAX_CALLERS:
                self._known.popitem(last=False)
        return caller
