"""The tokens that open consoles: one table, and its SQL."""

from datetime import datetime

import sqlalchemy as sa

from stillframe.db import Transaction, UtcTime, metadata

console_tokens = sa.Table(
    "console_tokens",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("server_id", sa.String(36), nullable=False),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("expires_at", UtcTime, nullable=False),
    sa.Index("ix_console_tokens_expires_at", "expires_at"),
)


async def insert_token(tx: Transaction, digest: str, server_id: str, kind: str, expires_at: datetime) -> None:
    values = {"digest": digest, "server_id": server_id, "kind": kind, "expires_at": expires_at}
    await tx.execute(sa.insert(console_tokens).values(**values))


async def take_token(tx: Transaction, digest: str, now: datetime) -> tuple[str, str] | None:
    """The server's id and the kind of console, once; None for a token that is not there, used or too old."""
    row = await tx.first(sa.select(console_tokens).where(console_tokens.c.digest == digest).with_for_update())
    if row is None:
        return None
    await tx.execute(sa.delete(console_tokens).where(console_tokens.c.digest == digest))
    return (row.server_id, row.kind) if row.expires_at > now else None


async def forget_expired(tx: Transaction, now: datetime) -> None:
    await tx.execute(sa.delete(console_tokens).where(console_tokens.c.expires_at <= now))
