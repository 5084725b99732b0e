"""The HTTP face for operators: reconciliation, what it found, and corrections. Translation only."""

from collections import deque
from dataclasses import asdict
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from reference_impl.access import Asking, Needs
from reference_impl.adjustments import Adjustment
from reference_impl.answers import Answer, Problem
from reference_impl.api_keys import FIRST_TENANT, Scope
from reference_impl.comparison import findings, history
from reference_impl.database import EVERYBODY, acting_for
from reference_impl.document import CREATED, REFUSED
from reference_impl.flags import Flag
from reference_impl.limits import OneReading
from reference_impl.responses import respond
from reference_impl.routes import AMOUNT_MAX, NAME, ServiceOf, shown

router = APIRouter(prefix="/admin", route_class=OneReading, responses={**REFUSED})
SHOWN_MAX = 10_000
"""So many records of the audit log are shown at once; `python -m reference_impl audit` reads all."""

# PostgreSQL has no text with NUL in it.
Words: TypeAlias = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]


class AdjustmentBody(BaseModel):
    """Correct one account for one finding; below zero takes back."""

    model_config = ConfigDict(strict=True, extra="forbid")
    account: str = Field(pattern=NAME)
    amount_minor: int = Field(ge=-AMOUNT_MAX, le=AMOUNT_MAX, json_schema_extra={"not": {"const": 0}})
    reason: Words


class FlagBody(BaseModel):
    """Put a flag on or off."""

    model_config = ConfigDict(strict=True, extra="forbid")
    to: Literal["on", "off"]


class ClosingBody(BaseModel):
    """Close a review, and say what was found."""

    model_config = ConfigDict(strict=True, extra="forbid")
    note: Words


RECONCILE, ADMIN = [Depends(Needs(Scope.RECONCILE))], [Depends(Needs(Scope.ADMIN))]


async def operator_of(principal: Asking) -> str:
    """Who acts: whom the key names, and nobody who is merely said to."""
    return principal.name


Operator: TypeAlias = Annotated[str, Depends(operator_of)]
Found: TypeAlias = Annotated[int, Path(gt=0, lt=2**63)]
Of: TypeAlias = Annotated[str, Path(pattern=NAME)]


@router.post("/reconcile", dependencies=RECONCILE)
async def reconcile(service: ServiceOf) -> Response:
    await service.audit.asked("reconciliation asked for")
    return respond(Answer(200, asdict(await service.reconciler.run())))


@router.post("/comparisons", dependencies=RECONCILE)
async def compare(service: ServiceOf) -> Response:
    """Settle what is open, then compare the books. What is found is kept, and stands in the answer."""
    await service.audit.asked("comparison asked for")
    await service.reconciler.run()
    return respond(Answer(200, (await service.comparer.run("on demand")).as_json()))


@router.get("/comparisons", dependencies=RECONCILE)
async def comparisons(service: ServiceOf) -> Response:
    async with service.of_reconciler.connection() as connection:
        return respond(Answer(200, {"comparisons": await history(connection)}))


@router.get("/findings", dependencies=RECONCILE)
async def found(service: ServiceOf) -> Response:
    async with service.of_reconciler.connection() as connection:
        return respond(Answer(200, {"findings": [shown(row) for row in await findings(connection)]}))


@router.get("/flags", dependencies=ADMIN)
async def flags(service: ServiceOf) -> Response:
    return respond(Answer(200, {"flags": service.flags.all()}))


@router.put("/flags/{flag}", dependencies=ADMIN)
async def change_flag(flag: Flag, body: FlagBody, principal: Asking, service: ServiceOf) -> Response:
    """Put a flag on or off. Other processes hear of it within `FLAGS_EVERY_S`."""
    if principal.tenant != FIRST_TENANT:
        raise Problem(403, "not_permitted", "A flag is on for every tenant: it takes an administrator of the main one.")
    await service.flags.change(flag, body.to == "on")
    return respond(Answer(200, {"flags": service.flags.all()}))


@router.post("/audits", dependencies=ADMIN)
async def audited(principal: Asking, service: ServiceOf) -> Response:
    """Seal what is not sealed, and show the newest of the tenant's own records; whether one fits is judged in the whole."""
    await service.audit.seal()
    own = (principal.tenant, EVERYBODY) if principal.tenant == FIRST_TENANT else (principal.tenant,)
    newest = deque[dict[str, Any]](maxlen=SHOWN_MAX)
    with acting_for(EVERYBODY):
        async with service.of_reconciler.snapshot() as connection:
            async for line in service.audit.lines(connection):
                if line.record is None or line.record.tenant in own:
                    newest.append(line.as_json())
    return respond(Answer(200, {"records": list(newest)}))


@router.post("/findings/{finding}/adjustments", dependencies=ADMIN, responses={**CREATED})
async def propose(finding: Found, body: AdjustmentBody, operator: Operator, service: ServiceOf) -> Response:
    """Propose a correction. A small one is posted at once; a large one waits for a second person."""
    if body.amount_minor == 0:
        raise Problem(400, "invalid", "Nothing is no correction.", at="amount_minor")
    wanted = Adjustment(finding=finding, proposed_by=operator, **body.model_dump())
    return _told(await service.adjustments.propose(wanted))


@router.post("/findings/{finding}/adjustments/{account}/approval", dependencies=ADMIN, responses={**CREATED})
async def approve(finding: Found, account: Of, operator: Operator, service: ServiceOf) -> Response:
    return _told(await service.adjustments.approve(finding, account, operator))


@router.get("/reviews", dependencies=ADMIN)
async def reviews(service: ServiceOf) -> Response:
    """What is odd and nobody has looked at yet."""
    return respond(Answer(200, {"reviews": [shown(asdict(each)) for each in await service.reviews.waiting()]}))


@router.post("/reviews/{review}/closing", dependencies=ADMIN, status_code=204)
async def close(review: Found, body: ClosingBody, operator: Operator, service: ServiceOf) -> Response:
    await service.reviews.close(review, operator, body.note)
    return respond(Answer(204))


def _told(adjustment: Adjustment) -> Response:
    return respond(Answer(201 if adjustment.posting else 202, asdict(adjustment) | {"state": adjustment.state}))
