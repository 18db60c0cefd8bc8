"""What a caller can do with identity: log in, prove who they are, look around.

Whatever may be wrong with credentials (user, password, token, signature, scope, role, disabled, revoked, expired), the
answer is one and the same UnauthenticatedError.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple

from stillframe.db import Database, Transaction
from stillframe.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from stillframe.identity import rows, signatures, standings
from stillframe.identity.access_keys import (
    BucketAccount,
    NewKey,
    create_access_key,
    create_temporary_key,
    hash_security_token,
    is_live,
    lookup_access_key,
    reveal_secret,
    service_access_key,
)
from stillframe.identity.accounts import (
    FirstAccount,
    bootstrap_accounts,
    change_password,
    create_project,
    create_user,
    get_project,
    grant_role,
    list_projects,
    set_project_enabled,
    set_user_enabled,
    withdraw_role,
)
from stillframe.identity.model import (
    ADMIN_ROLES,
    TOKEN_LIFETIME,
    UNSCOPED,
    AccessKeyKind,
    Caller,
    DomainRef,
    PasswordLogin,
    ProjectFilter,
    ProjectRef,
    Scope,
    ScopeRef,
    SystemRef,
    Token,
    TokenClaims,
    TokenLogin,
    UnscopedRef,
    User,
)
from stillframe.identity.passwords import password_matches
from stillframe.identity.rows import lock_project
from stillframe.identity.tokens import TokenKeys, decode_token, encode_token
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import is_hex_id, new_hex_id

__all__ = [
    "BucketAccount",
    "FirstAccount",
    "IssuedToken",
    "NewKey",
    "authenticate_password",
    "authenticate_signature",
    "bootstrap_accounts",
    "change_password",
    "create_access_key",
    "create_project",
    "create_temporary_key",
    "create_user",
    "get_project",
    "get_token",
    "grant_role",
    "inspect_token",
    "issue_token",
    "list_projects",
    "lock_project",
    "log_in",
    "lookup_access_key",
    "revoke_token",
    "service_access_key",
    "set_project_enabled",
    "set_user_enabled",
    "validate_token",
    "withdraw_role",
]


class IssuedToken(NamedTuple):
    text: str
    token: Token


async def log_in(
    database: Database, keys: TokenKeys, login: PasswordLogin | TokenLogin, scope_ref: ScopeRef
) -> IssuedToken:
    """A token for the scope asked for. One got with a token ends when that one ends.

    Takes the database and not a transaction: none is held while the password is checked, which takes long on purpose.

    Raises: UnauthenticatedError.
    """
    methods: tuple[str, ...] = ("password",)
    expires_at = None
    if isinstance(login, PasswordLogin):
        user = await authenticate_password(database, login)
    else:
        async with database.reading() as tx:
            token = await get_token(tx, keys, login.token)
        user, expires_at = token.standing.user, token.claims.expires_at
        methods = tuple(sorted({*token.claims.methods, "token"}))
    async with database.reading() as tx:
        scope = await _resolve_scope(tx, user, scope_ref)
        return await issue_token(tx, keys, user, scope, methods=methods, expires_at=expires_at)


async def authenticate_password(database: Database, login: PasswordLogin) -> User:
    """Takes equally long for a wrong password and for an unknown user.

    Raises: UnauthenticatedError.
    """
    async with database.reading() as tx:
        found = await rows.find_user(tx, user_id=login.user_id, name=login.user_name, domain=login.domain)
    matches = await password_matches(found[1] if found else None, login.password)
    if found is None or not matches or not found[0].enabled:
        raise UnauthenticatedError
    return found[0]


async def _resolve_scope(tx: Transaction, user: User, ref: ScopeRef) -> Scope:
    """Who asks for nothing gets the own domain, or no scope when they have no role there."""
    match ref:
        case UnscopedRef():
            return UNSCOPED
        case ProjectRef():
            return await _project_scope(tx, user, ref)
        case DomainRef():
            domain = await rows.find_domain(tx, ref)
            if domain is None:
                raise UnauthenticatedError
            return Scope(domain_id=domain.id)
    own_domain = Scope(domain_id=user.domain_id)
    standing = await standings.get_standing(tx, user.id, own_domain)
    role_names = {role.name for role in standing.roles} if standing else set()
    if isinstance(ref, SystemRef) and ADMIN_ROLES.isdisjoint(role_names):
        raise UnauthenticatedError
    return own_domain if role_names else UNSCOPED


async def _project_scope(tx: Transaction, user: User, ref: ProjectRef) -> Scope:
    if ref.id is not None:
        if not is_hex_id(ref.id):
            raise UnauthenticatedError
        return Scope(project_id=ref.id)
    domain = await rows.find_domain(tx, ref.domain or DomainRef(id=user.domain_id))
    found = await rows.list_projects(tx, ProjectFilter(domain_id=domain.id, name=ref.name)) if domain else []
    if not found or not ref.name:
        raise UnauthenticatedError
    return Scope(project_id=found[0].id)


async def issue_token(
    tx: Transaction,
    keys: TokenKeys,
    user: User,
    scope: Scope,
    *,
    methods: tuple[str, ...],
    expires_at: datetime | None = None,
) -> IssuedToken:
    """Good for 24 hours unless said otherwise. Nothing is stored, so a reading transaction will do.

    Raises: UnauthenticatedError when the user may not act at the scope.
    """
    standing = await standings.get_standing(tx, user.id, scope)
    if standing is None or not standing.holds(scope):
        raise UnauthenticatedError
    issued_at = utcnow()
    claims = TokenClaims(
        token_id=new_hex_id(),
        user_id=user.id,
        # The epoch from before the password was checked: if it changed meanwhile, the token is void from the start.
        epoch=user.epoch,
        scope=scope,
        methods=methods,
        issued_at=issued_at,
        expires_at=expires_at or issued_at + TOKEN_LIFETIME,
    )
    return IssuedToken(encode_token(keys, claims), Token(claims=claims, standing=standing))


async def validate_token(tx: Transaction, keys: TokenKeys, text: str) -> Caller:
    """Raises: UnauthenticatedError."""
    return (await get_token(tx, keys, text)).caller


async def get_token(tx: Transaction, keys: TokenKeys, text: str) -> Token:
    """One query. Raises: UnauthenticatedError."""
    claims = decode_token(keys, text, utcnow())
    standing = await standings.get_token_standing(tx, claims)
    if standing is None or not standing.holds(claims.scope):
        raise UnauthenticatedError
    return Token(claims=claims, standing=standing)


async def inspect_token(tx: Transaction, keys: TokenKeys, caller: Caller, text: str) -> Token:
    """A token as somebody asks about it: users about their own, administrators about those of their domain.

    Raises: NotFoundError when it does not hold; ForbiddenError.
    """
    try:
        token = await get_token(tx, keys, text)
    except UnauthenticatedError:
        raise NotFoundError("Could not find token.") from None
    user = token.standing.user
    owns = user.id == caller.user_id
    administers = caller.is_platform_admin or (caller.is_admin and user.domain_id == caller.domain_id)
    if not owns and not administers:
        raise ForbiddenError
    return token


async def revoke_token(tx: Transaction, keys: TokenKeys, caller: Caller, text: str) -> None:
    """Refused everywhere from the commit on. Raises: NotFoundError when it does not hold; ForbiddenError."""
    token = await inspect_token(tx, keys, caller, text)
    # Two revocations of one token meet here; the second finds it revoked.
    await rows.lock_user(tx, token.standing.user.id)
    token = await inspect_token(tx, keys, caller, text)
    await rows.delete_revoked_tokens(tx, before=utcnow())
    await rows.insert_revoked_token(tx, token.claims.token_id, token.claims.expires_at)


async def authenticate_signature(
    database: Database,
    keys: TokenKeys,
    request: signatures.SignedRequest,
    scope: Scope,
    read_body: Callable[[], Awaitable[bytes]],
) -> Caller:
    """Who signed the request, at the scope it is for (the key's or the user's default project when unscoped).

    The body is only read for a key that exists and a request that is timely, and no transaction is held meanwhile.

    Raises: UnauthenticatedError, and whatever `read_body` raises.
    """
    signature = signatures.parse_signature(request)
    now = utcnow()
    if not signatures.is_timely(signature, now):
        raise UnauthenticatedError
    async with database.reading() as tx:
        found = await standings.get_signer(tx, signature.access, scope)
    if found is None:
        raise UnauthenticatedError
    row, standing = found
    _check_key(row, scope, request.header("x-security-token"), now)
    body = await read_body() if signatures.needs_body(request) else None if signatures.has_body(request) else b""
    if not signatures.is_valid(signature, request, reveal_secret(keys, row), body) or not standing.holds(scope):
        raise UnauthenticatedError
    if scope.is_unscoped and standing.project and not standing.holds(Scope(project_id=standing.project.id)):
        raise UnauthenticatedError
    return standing.caller(expires_at=signature.sent_at + signatures.MAX_CLOCK_SKEW, token_id=None)


def _check_key(row: rows.KeyRow, scope: Scope, security_token: str, now: datetime) -> None:
    key = row.key
    given_hash = hash_security_token(security_token) if security_token else None
    elsewhere = key.project_id is not None and scope.project_id not in (None, key.project_id)
    if (
        key.kind is AccessKeyKind.SERVICE
        or not is_live(key, now)
        or given_hash != row.security_token_hash
        or elsewhere
        or (key.kind is AccessKeyKind.TEMPORARY and scope.domain_id is not None)
    ):
        raise UnauthenticatedError
