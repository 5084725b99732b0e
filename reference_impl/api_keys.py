"""API keys: made, shown once, kept as digests, revoked.

A key is `tk_`, its name, and a secret of at least 128 bits that a machine drew: `tk_shop1_q8Zf…`. What is stored is its
SHA-256, plain. A slow hash (bcrypt, Argon2) is for passwords, which people choose and others guess; nobody guesses 128 bits,
however fast each try is, and every request would pay for it. The name finds the row, so that nothing secret is looked up by an
index; the digests are compared in constant time (`Access.matches`).
"""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncpg

TOKEN = re.compile(r"tk_([a-z0-9]{1,32})_([A-Za-z0-9_-]{32,128})")
TENANT = re.compile(r"[a-z][a-z0-9-]{0,31}")
FIRST_TENANT = "main"
"""That of whoever runs the service; and whose everything is that was there before there were others."""
PRINCIPAL = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Scope(StrEnum):
    """What a key is good for. None of them stands for another."""

    INITIATE = "initiate"
    """Open accounts, top them up, give money back."""
    READ = "read"
    """Look at accounts, top-ups and what is told of them."""
    RECONCILE = "reconcile"
    """Settle, compare the books, and see what was found."""
    ADMIN = "admin"
    """Correct what was found, and approve corrections."""


class BadKey(ValueError):
    """A key that cannot be made; the message says which part is wrong, and shows no value: it may be a secret misplaced."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that is to be stored, with its secret still in it."""

    tenant: str
    principal: str
    scopes: tuple[Scope, ...]
    token: str = field(repr=False)

    @property
    def name(self) -> str:
        return name_of(self.token) or ""


@dataclass(frozen=True, slots=True)
class Provided:
    """What a deployment says of keys: those that it is to have, and the names of those that are good no longer."""

    keys: tuple[NewKey, ...] = ()
    revoked: tuple[str, ...] = ()


def name_of(token: str) -> str | None:
    """The name in a key; None if it is not one."""
    found = TOKEN.fullmatch(token)
    return found.group(1) if found else None


def digest_of(token: str) -> bytes:
    """What is stored of a key, and compared."""
    return hashlib.sha256(token.encode()).digest()


def draw(tenant: str, principal: str, scopes: Sequence[str]) -> NewKey:
    """A new key with 256 bits of secret. Raises `BadKey`."""
    return checked(tenant, principal, scopes, f"tk_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}")


def checked(tenant: str, principal: str, scopes: Sequence[str], token: str) -> NewKey:
    """Raises `BadKey` naming the part that is wrong."""
    if not TENANT.fullmatch(tenant):
        raise BadKey("the tenant is not a small letter and then at most 31 of a-z, 0-9 and -")
    if not PRINCIPAL.fullmatch(principal):
        raise BadKey("the principal is not 1 to 64 of A-Z, a-z, 0-9, _, . and -")
    if not scopes or not set(scopes) <= set(Scope):
        raise BadKey(f"the scopes are one or more of {', '.join(Scope)}")
    if name_of(token) is None:
        raise BadKey("the key is not tk_, a name of a-z and 0-9, _ and a secret of at least 32 characters")
    return NewKey(tenant, principal, tuple(Scope(scope) for scope in dict.fromkeys(scopes)), token)


def parse(written: str) -> tuple[NewKey, ...]:
    """The keys in `API_KEYS`: `tenant/principal:scope,scope:key`, separated by spaces. Raises `BadKey`."""
    return tuple(_one(number, entry) for number, entry in enumerate(written.split(), 1))


def _one(number: int, entry: str) -> NewKey:
    who, _, rest = entry.partition(":")
    tenant, _, principal = who.partition("/")
    scopes, _, token = rest.partition(":")
    try:
        return checked(tenant, principal, [scope for scope in scopes.split(",") if scope], token)
    except BadKey as error:
        raise BadKey(f"entry {number} of API_KEYS is not tenant/principal:scope,scope:key: {error}") from None


async def provide(connection: "asyncpg.Connection[asyncpg.Record]", provided: Provided) -> None:
    """Have these keys stored, as a fresh deployment needs them, or revoked. One that was revoked stays so.

    Raises `BadKey` when a name is taken by another key.
    """
    names = [key.name for key in provided.keys]
    rows = await connection.fetch(
        "SELECT key, sha256, revoked_at FROM api_keys WHERE key = ANY($1)", [*names, *provided.revoked]
    )
    there = {row["key"]: row["sha256"] for row in rows}
    for key in provided.keys:
        if key.name not in there:
            await store(connection, key)
        elif there[key.name] != digest_of(key.token):
            raise BadKey(f"the name {key.name!r} is another key's in this database: give the new one a name of its own")
    for name in set(provided.revoked) - {row["key"] for row in rows if row["revoked_at"]}:
        await revoke(connection, name)


async def store(connection: "asyncpg.Connection[asyncpg.Record]", key: NewKey) -> None:
    """Store a key, and its principal if it is a new one. Raises `BadKey` when that is another tenant's."""
    belongs = await connection.fetchval(
        """WITH made AS (
               INSERT INTO principals (principal, tenant, made_at) VALUES ($1, $2, now()) ON CONFLICT DO NOTHING RETURNING tenant
           )
           SELECT tenant FROM made UNION ALL SELECT tenant FROM principals WHERE principal = $1 LIMIT 1""",
        key.principal,
        key.tenant,
    )
    if belongs != key.tenant:
        raise BadKey(f"the principal {key.principal!r} is the tenant {belongs!r}'s: choose another name")
    await connection.execute(
        "INSERT INTO api_keys (key, sha256, principal, tenant, scopes, made_at) VALUES ($1, $2, $3, $4, $5, now())",
        key.name,
        digest_of(key.token),
        key.principal,
        key.tenant,
        list(key.scopes),
    )


async def revoke(connection: "asyncpg.Connection[asyncpg.Record]", name: str) -> bool:
    """Revoke the key of that name, for good; False when there is none, or it was revoked before."""
    return bool(
        await connection.fetchval(
            "UPDATE api_keys SET revoked_at = now() WHERE key = $1 AND revoked_at IS NULL RETURNING true", name
        )
    )


async def listed(connection: "asyncpg.Connection[asyncpg.Record]") -> list[Mapping[str, Any]]:
    """All keys by name, without what is secret."""
    return [
        dict(row)
        for row in await connection.fetch(
            "SELECT key, tenant, principal, scopes, made_at, revoked_at FROM api_keys ORDER BY made_at, key"
        )
    ]
