"""The HTTP face for operators: reconciliation, what it found, and corrections. Translation only."""

from collections import deque
from dataclasses import asdict
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Depends, Header, Path
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from reference_impl.actors import acting, current_actor
from reference_impl.adjustments import Adjustment
from reference_impl.answers import Answer, Problem
from reference_impl.comparison import findings, history
from reference_impl.flags import Flag
from reference_impl.routes import AMOUNT_MAX, NAME, ServiceOf, respond, shown

router = APIRouter(prefix="/admin")
SHOWN_MAX = 10_000
"""So many records of the audit log are shown at once; `python -m reference_impl audit` reads all."""


class AdjustmentBody(BaseModel):
    """Correct one account for one finding; below zero takes back."""

    model_config = ConfigDict(strict=True, extra="forbid")
    account: str = Field(pattern=NAME)
    amount_minor: int = Field(ge=-AMOUNT_MAX, le=AMOUNT_MAX)
    reason: str = Field(min_length=1, max_length=500)


class FlagBody(BaseModel):
    """Put a flag on or off."""

    model_config = ConfigDict(strict=True, extra="forbid")
    to: Literal["on", "off"]


async def operator_of(x_operator: Annotated[str | None, Header(max_length=64, pattern=NAME)] = None) -> str:
    """Who acts. The one place that says so, and where keys of principals will be looked at."""
    if x_operator is None:
        raise Problem(401, "unauthenticated", "Say who you are in X-Operator.", at="X-Operator")
    acting(f"operator:{x_operator}")
    return x_operator


async def asker_of(x_operator: Annotated[str | None, Header(max_length=64, pattern=NAME)] = None) -> str:
    """Who sets something going that changes nothing which is not so already, and need not say who it is: a timer, as a rule."""
    acting(f"operator:{x_operator or 'unnamed'}")
    return current_actor()


Operator: TypeAlias = Annotated[str, Depends(operator_of)]
Asker: TypeAlias = Annotated[str, Depends(asker_of)]
Found: TypeAlias = Annotated[int, Path(gt=0, lt=2**63)]
Of: TypeAlias = Annotated[str, Path(pattern=NAME)]


@router.post("/reconcile")
async def reconcile(service: ServiceOf, _asker: Asker) -> Response:
    await service.audit.asked("reconciliation asked for")
    return respond(Answer(200, asdict(await service.reconciler.run())))


@router.post("/comparisons")
async def compare(service: ServiceOf, _asker: Asker) -> Response:
    """Settle what is open, then compare the books. What is found is kept, and stands in the answer."""
    await service.audit.asked("comparison asked for")
    await service.reconciler.run()
    return respond(Answer(200, (await service.comparer.run("on demand")).as_json()))


@router.get("/comparisons")
async def comparisons(service: ServiceOf) -> Response:
    async with service.database.connection() as connection:
        return respond(Answer(200, {"comparisons": await history(connection)}))


@router.get("/findings")
async def found(service: ServiceOf) -> Response:
    async with service.database.connection() as connection:
        return respond(Answer(200, {"findings": [shown(row) for row in await findings(connection)]}))


@router.get("/flags")
async def flags(service: ServiceOf) -> Response:
    return respond(Answer(200, {"flags": service.flags.all()}))


@router.put("/flags/{flag}")
async def change_flag(flag: Flag, body: FlagBody, _operator: Operator, service: ServiceOf) -> Response:
    """Put a flag on or off. Other processes hear of it within `FLAGS_EVERY_S`."""
    await service.flags.change(flag, body.to == "on")
    return respond(Answer(200, {"flags": service.flags.all()}))


@router.post("/audits")
async def audited(service: ServiceOf) -> Response:
    """Seal what is not sealed, and show the log as it stands: each of the newest records, and whether it fits."""
    await service.audit.seal()
    async with service.database.connection() as connection, connection.transaction(readonly=True):
        newest = deque[dict[str, Any]](maxlen=SHOWN_MAX)
        async for line in service.audit.lines(connection):
            newest.append(line.as_json())
    return respond(Answer(200, {"records": list(newest)}))


@router.post("/findings/{finding}/adjustments")
async def propose(finding: Found, body: AdjustmentBody, operator: Operator, service: ServiceOf) -> Response:
    """Propose a correction. A small one is posted at once; a large one waits for a second person."""
    if body.amount_minor == 0:
        raise Problem(400, "invalid", "Nothing is no correction.", at="amount_minor")
    wanted = Adjustment(finding=finding, proposed_by=operator, **body.model_dump())
    return _told(await service.adjustments.propose(wanted))


@router.post("/findings/{finding}/adjustments/{account}/approval")
async def approve(finding: Found, account: Of, operator: Operator, service: ServiceOf) -> Response:
    return _told(await service.adjustments.approve(finding, account, operator))


def _told(adjustment: Adjustment) -> Response:
    return respond(Answer(201 if adjustment.posting else 202, asdict(adjustment) | {"state": adjustment.state}))
