"""Who asks, and what they may do: a key names its principal, the principal's tenant, and its scopes.

Bearer tokens are RFC 6750's, and so is how they are refused: 401 where nobody is known, 403 where somebody is who may not.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, ClassVar, TypeAlias

from fastapi import Depends, Request
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from reference_impl.actors import acting
from reference_impl.answers import Problem, unavailable
from reference_impl.api_keys import Scope, digest_of, name_of
from reference_impl.database import DATABASE_ERRORS, Database, acting_for
from reference_impl.responses import respond
from reference_impl.signatures import ALGORITHM, Asked, BadSignature, Signatures


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who may ask: a program or a person of one tenant, known by a key."""

    name: str
    tenant: str
    scopes: frozenset[Scope]
    key: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of a key."""

    principal: Principal
    sha256: bytes
    revoked_at: datetime | None


class Access:
    """Authenticates and authorises. What was looked up is kept for `cached_s`: so long, at most, a revoked key is good."""

    REMEMBERED_MAX: ClassVar[int] = 1000
    """Of more keys than this the one that was looked up first is looked up again."""

    def __init__(
        self, database: Database, signatures: Signatures, monotonic: Callable[[], float], cached_s: float
    ) -> None:
        self.database = database
        self.signatures = signatures
        self.monotonic = monotonic
        self.cached_s = cached_s
        self.remembered: dict[str, tuple[float, Stored]] = {}

    async def authenticate(self, asked: Asked) -> Principal:
        """Whose request it is. Raises `Problem` 401 when that is nobody."""
        if asked.is_signed:
            return await self.signed_by(asked)
        scheme, _, token = asked.authorization.partition(" ")
        if not token:
            raise nobody("Send your key in Authorization: Bearer tk_…, or sign.", 'Bearer realm="topups"')
        name = name_of(token.strip()) if scheme.lower() == "bearer" else None
        stored = await self.known(name) if name else None
        if stored is None or not self.matches(stored, token.strip()) or not self.is_good(stored):
            raise nobody("This key is not one, or no longer.", 'Bearer realm="topups", error="invalid_token"')
        return stored.principal

    async def signed_by(self, asked: Asked) -> Principal:
        """Who signed it. The nonce last: only what is rightly signed uses one up."""
        try:
            claim = self.signatures.claimed(asked)
            stored = await self.known(claim.key)
            self.signatures.verify(claim, asked)
            if stored is None or not self.is_good(stored):
                raise BadSignature("There is no such key, or no longer.")
            if not await self.signatures.spend(claim):
                raise BadSignature("This nonce was used: draw another for each request.", "x-acs-signature-nonce")
        except BadSignature as bad:
            raise nobody(str(bad), ALGORITHM, bad.at) from None
        return stored.principal

    def matches(self, stored: Stored, token: str) -> bool:
        """Whether the key is the one that was made under its name; how nearly it is tells nothing by its time."""
        return hmac.compare_digest(stored.sha256, digest_of(token))

    def is_good(self, stored: Stored) -> bool:
        """Whether nobody has revoked it."""
        return stored.revoked_at is None

    def insist(self, principal: Principal, scope: Scope) -> None:
        """Raises `Problem` 403, naming what is missing, unless *principal* may do what takes *scope*."""
        if not self.permits(principal, scope):
            raise Problem(
                403,
                "not_permitted",
                f"This key is not good for this: it would need the scope {scope}.",
                at="Authorization",
                headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
            )

    def permits(self, principal: Principal, scope: Scope) -> bool:
        """What a key is good for is what it was made for."""
        return scope in principal.scopes

    async def known(self, name: str) -> Stored | None:
        """The key of that name, as it was at most `cached_s` ago. One that there is not is never remembered."""
        now = self.monotonic()
        at, stored = self.remembered.get(name, (0.0, None))
        if stored is not None and now - at < self.cached_s:
            return stored
        self.remembered.pop(name, None)
        stored = await self.looked_up(name)
        if stored is not None:
            while len(self.remembered) >= self.REMEMBERED_MAX:
                self.remembered.pop(next(iter(self.remembered)))
            self.remembered[name] = (now, stored)
        return stored

    async def looked_up(self, name: str) -> Stored | None:
        """The key of that name, as it is."""
        async with self.database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT sha256, principal, tenant, scopes, revoked_at FROM api_keys WHERE key = $1", name
            )
        if row is None:
            return None
        scopes = frozenset(Scope(scope) for scope in row["scopes"])
        return Stored(Principal(row["principal"], row["tenant"], scopes, name), row["sha256"], row["revoked_at"])


def nobody(message: str, challenge: str, at: str = "Authorization") -> Problem:
    """Whoever asks is not known, and how they could make themselves known."""
    return Problem(401, "unauthenticated", message, at=at, headers={"WWW-Authenticate": challenge})


class Authenticated:
    """In front of an application: nobody gets in whom `Access` does not know, wherever they want to go."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        access: Access = scope["app"].state.service.access
        try:
            asked, receive = await _asked(scope, receive)
            principal = await access.authenticate(asked)
        except Problem as refusal:
            await respond(refusal.answer)(scope, receive, send)
            return
        except DATABASE_ERRORS:
            await respond(unavailable())(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        with acting_for(principal.tenant), acting(principal.name):
            await self.app(scope, receive, send)


async def _asked(scope: AsgiScope, receive: Receive) -> tuple[Asked, Receive]:
    """The request as it came, and whoever hears it after us. The body is read where it is signed: `Limits` has bounded it."""
    asked = Asked(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=[(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]],
    )
    if not asked.is_signed:
        return asked, receive
    body = await Request(scope, receive).body()
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return whole.pop() if whole else await receive()

    return replace(asked, body=body), again


async def principal_of(request: Request) -> Principal:
    """Who asks."""
    principal: Principal = request.state.principal
    return principal


Asking: TypeAlias = Annotated[Principal, Depends(principal_of)]


class Needs:
    """A route's dependency: it takes a key with this scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request, principal: Asking) -> None:
        access: Access = request.app.state.service.access
        access.insist(principal, self.scope)
