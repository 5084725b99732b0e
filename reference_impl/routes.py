"""The HTTP face for customers and operators: translation only."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from reference_impl import accounts, discrepancies, initiation, refunds, topups
from reference_impl.access import Asking, Needs
from reference_impl.accounts import Account
from reference_impl.answers import Answer, Problem
from reference_impl.api_keys import Scope
from reference_impl.database import Connection
from reference_impl.document import CREATED, DECLINED, REFUSED
from reference_impl.limits import OneReading
from reference_impl.money import Money
from reference_impl.rates import Asker
from reference_impl.responses import respond
from reference_impl.service import Service

NAME = r"^[A-Za-z0-9_.-]{1,64}$"
AMOUNT_MAX = 10**12

Currency: TypeAlias = Literal["EUR", "USD", "JPY", "KWD"]


class AccountBody(BaseModel):
    """Open an account."""

    model_config = ConfigDict(strict=True, extra="forbid")
    account: str = Field(pattern=NAME)
    currency: Currency


class TopUpBody(BaseModel):
    """Top it up."""

    model_config = ConfigDict(strict=True, extra="forbid")
    account: str = Field(pattern=NAME)
    amount_minor: int = Field(gt=0, le=AMOUNT_MAX)
    currency: Currency
    method: Literal["card", "redirect", "bad-card"]


class RefundBody(BaseModel):
    """Give some of it back."""

    model_config = ConfigDict(strict=True, extra="forbid")
    amount_minor: int = Field(gt=0, le=AMOUNT_MAX)


# Both are coroutines for no other reason than that the framework sends plain functions to a thread, which costs more than they do.
async def service_of(request: Request) -> Service:
    """The running service."""
    service: Service = request.app.state.service
    return service


async def customer_of(x_customer: Annotated[str | None, Header(max_length=64, pattern=NAME)] = None) -> str:
    """For which customer of its tenant the principal asks."""
    if x_customer is None:
        raise Problem(400, "no_customer", "Say for which customer you ask in X-Customer.", at="X-Customer")
    return x_customer


ServiceOf: TypeAlias = Annotated[Service, Depends(service_of)]
Customer: TypeAlias = Annotated[str, Depends(customer_of)]
KeySent: TypeAlias = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=1, max_length=128, pattern=r"^[!-~]+$")
]


async def key_of(service: ServiceOf, key: KeySent = None) -> str:
    """Under which key it is asked."""
    return service.initiation.keys.insist(key)


Key: TypeAlias = Annotated[str, Depends(key_of)]

router = APIRouter(route_class=OneReading, responses={**REFUSED})
INITIATE, READ = [Depends(Needs(Scope.INITIATE))], [Depends(Needs(Scope.READ))]


@router.post("/v1/accounts", dependencies=INITIATE, responses={201: CREATED[201]})
async def open_account(body: AccountBody, customer: Customer, service: ServiceOf) -> Response:
    async with service.database.connection() as connection:
        opened = await accounts.open_account(connection, customer, body.account, body.currency, service.now())
    account = await owned(service, customer, body.account)
    if account.currency != body.currency:
        raise Problem(409, "other_currency", f"This account is in {account.currency}.", at="currency")
    return respond(Answer(201 if opened else 200, asdict(account)))


@router.post("/v1/top-ups", dependencies=INITIATE, responses={**CREATED, **DECLINED})
async def top_up(
    body: TopUpBody, key: Key, customer: Customer, principal: Asking, service: ServiceOf, request: Request
) -> Response:
    asker = Asker(
        address=request.client.host if request.client else "",
        principal=principal.name,
        tenant=principal.tenant,
        customer=customer,
        method=body.method,
        account=body.account,
        key=key,
    )
    await service.rates.admit(asker)
    account = await owned(service, customer, body.account)
    if account.currency != body.currency:
        raise Problem(409, "other_currency", f"This account is in {account.currency}.", at="currency")
    wanted = initiation.Request(
        account=body.account, amount=Money(body.amount_minor, body.currency), method=body.method
    )
    return respond(await service.initiation.start(customer, key, wanted))


@router.get("/v1/top-ups/{top_up_id}", dependencies=READ)
async def status(top_up_id: str, customer: Customer, service: ServiceOf) -> Response:
    return respond(Answer(200, initiation.view(await owned_top_up(service, customer, top_up_id))))


@router.get("/v1/top-ups/{top_up_id}/return", dependencies=READ)
async def returned(top_up_id: str, customer: Customer, service: ServiceOf, request: Request) -> Response:
    """For the page that the provider sends a customer back to, whatever it has in its query: the status, as it is here."""
    top_up = await owned_top_up(service, customer, top_up_id)
    await service.reconciler.on_return(top_up, request.query_params)
    return respond(Answer(200, initiation.view(top_up)))


@router.get("/v1/top-ups/{top_up_id}/timeline", dependencies=READ)
async def timeline(top_up_id: str, customer: Customer, service: ServiceOf) -> Response:
    await owned_top_up(service, customer, top_up_id)
    async with service.database.connection() as connection:
        rows = await connection.fetch(
            """SELECT from_state AS "from", to_state AS "to", at, cause, payload, correlation FROM transitions
               WHERE top_up = $1 ORDER BY transition""",
            top_up_id,
        )
    return respond(Answer(200, {"transitions": [shown(dict(row)) for row in rows]}))


@router.post("/v1/top-ups/{top_up_id}/refunds", dependencies=INITIATE, responses={**CREATED})
async def refund(top_up_id: str, body: RefundBody, key: Key, customer: Customer, service: ServiceOf) -> Response:
    """For customer service, who acts for the customer."""
    found = await owned_top_up(service, customer, top_up_id)
    return respond(await service.refunds.start(key, found, body.amount_minor))


@router.get("/v1/top-ups/{top_up_id}/refunds", dependencies=READ)
async def refunds_of(top_up_id: str, customer: Customer, service: ServiceOf) -> Response:
    await owned_top_up(service, customer, top_up_id)
    async with service.database.connection() as connection:
        found = await refunds.of_top_up(connection, top_up_id)
    return respond(Answer(200, {"refunds": [refunds.view(each) for each in found]}))


@router.get("/v1/accounts/{account_id}/balance", dependencies=READ)
async def balance(account_id: str, customer: Customer, service: ServiceOf) -> Response:
    return respond(Answer(200, asdict(await owned(service, customer, account_id))))


@router.get("/v1/accounts/{account_id}/entries", dependencies=READ)
async def entries(account_id: str, customer: Customer, service: ServiceOf) -> Response:
    account = await owned(service, customer, account_id)
    async with service.database.connection() as connection:
        legs = await service.ledger.entries(connection, account.account)
    return respond(Answer(200, {"entries": [shown(asdict(leg)) for leg in legs]}))


@router.get("/v1/accounts/{account_id}/statement", dependencies=READ)
async def statement(account_id: str, customer: Customer, service: ServiceOf) -> Response:
    """Balance, entries and what does not agree, all of one moment."""
    async with service.database.snapshot() as connection:
        account = await own(connection, customer, account_id)
        legs = await service.ledger.entries(connection, account.account)
        found = await discrepancies.listed(connection, customer, account.account)
    told = {"entries": [shown(asdict(leg)) for leg in legs], "discrepancies": [shown(asdict(item)) for item in found]}
    return respond(Answer(200, asdict(account) | told))


@router.get("/v1/discrepancies", dependencies=READ)
async def differences(
    customer: Customer, service: ServiceOf, account: Annotated[str | None, Query(pattern=NAME)] = None
) -> Response:
    if account is not None:
        await owned(service, customer, account)
    async with service.database.connection() as connection:
        found = await discrepancies.listed(connection, customer, account)
    return respond(Answer(200, {"discrepancies": [shown(asdict(item)) for item in found]}))


async def owned(service: Service, customer: str, account: str) -> Account:
    """The customer's account; 404 if it is nobody's or somebody else's, which looks the same."""
    async with service.database.connection() as connection:
        return await own(connection, customer, account)


async def own(connection: Connection, customer: str, account: str) -> Account:
    """The same, on a connection that is there."""
    found = await accounts.find(connection, customer, account) if storable(account) else None
    if found is None:
        raise Problem(404, "no_such_account", "You have no account of that name.", at="account")
    return found


async def owned_top_up(service: Service, customer: str, top_up_id: str) -> topups.TopUp:
    """The customer's top-up; 404 if it is nobody's or somebody else's, which looks the same."""
    async with service.database.connection() as connection:
        found = await topups.find(connection, top_up_id) if storable(top_up_id) else None
    if found is None or found.customer != customer:
        raise Problem(404, "no_such_top_up", "You have no top-up of that name.", at="top_up")
    return found


def storable(name: str) -> bool:
    """PostgreSQL has no text with NUL in it; asking for one would be an error, where "no" is the answer."""
    return "\0" not in name


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON: times in ISO 8601."""
    return {name: value.isoformat() if name == "at" else value for name, value in row.items()}
