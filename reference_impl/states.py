"""The life of a top-up, as a table, and the record of each step."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from reference_impl.database import Connection
from reference_impl.logs import current_correlation
from reference_impl.topups import TopUp


class State(StrEnum):
    """Where a top-up is."""

    CREATED = "Created"
    INITIATED = "Initiated"
    AWAITING_PAYMENT = "AwaitingPayment"
    CALLBACK_RECEIVED = "CallbackReceived"
    CREDITED = "Credited"
    FAILED = "Failed"
    PARTLY_REVERSED = "PartlyReversed"
    REVERSED = "Reversed"


class States:
    """Decides where a top-up goes when something is heard about it, and by which way.

    A late failure cannot undo a credit because no way leads from Credited to Failed. A success after a failure counts,
    because the money was taken: there is a way from Failed to Credited. What was credited changes only by money that goes
    back, or comes back again: a late capture does not revive what was refunded.
    """

    TABLE: ClassVar[Mapping[State, tuple[State, ...]]] = {
        State.CREATED: (State.INITIATED,),
        State.INITIATED: (State.AWAITING_PAYMENT, State.FAILED),
        State.AWAITING_PAYMENT: (State.CALLBACK_RECEIVED, State.FAILED),
        State.CALLBACK_RECEIVED: (State.CREDITED,),
        State.CREDITED: (State.PARTLY_REVERSED, State.REVERSED),
        State.FAILED: (State.CALLBACK_RECEIVED,),
        State.PARTLY_REVERSED: (State.REVERSED, State.CREDITED),
        State.REVERSED: (State.PARTLY_REVERSED, State.CREDITED),
    }
    TARGETS: ClassVar[Mapping[str, State]] = {
        "initiated": State.INITIATED,
        "accepted": State.AWAITING_PAYMENT,
        "captured": State.CREDITED,
        "failed": State.FAILED,
        "partly reversed": State.PARTLY_REVERSED,
        "reversed": State.REVERSED,
        "restored": State.CREDITED,
    }
    ONCE_CREDITED: ClassVar[tuple[State, ...]] = (State.CREDITED, State.PARTLY_REVERSED, State.REVERSED)
    STANDINGS: ClassVar[tuple[str, ...]] = ("partly reversed", "reversed", "restored")
    """What the ledger says of a credit: the only news for a top-up that was once credited."""

    def advance(self, current: State, event: str) -> State | None:
        """Where *event* takes a top-up that is in *current*, or None when it changes nothing."""
        if current in self.ONCE_CREDITED and event not in self.STANDINGS:
            return None
        target = self.TARGETS.get(event)
        return target if target and target is not current and self._ways(current).get(target) else None

    def path(self, current: State, target: State) -> tuple[State, ...]:
        """The shortest legal way, *target* last, so that no step is skipped in the record.

        Whether to go at all is `advance`'s decision alone. Were it wrong, the record would show the bare step.
        """
        return self._ways(current).get(target, (target,))

    async def move(
        self, connection: Connection, top_up: TopUp, event: str, cause: str, payload: str | None, at: datetime
    ) -> State | None:
        """Take the locked *top_up* where *event* leads, recording each step; returns the new state, None if unmoved."""
        current = State(top_up.state)
        target = self.advance(current, event)
        if target is None:
            return None
        for step in self.path(current, target):
            await self.record(connection, top_up, current, step, cause, payload, at)
            current = step
        await connection.execute("UPDATE top_ups SET state = $2 WHERE top_up = $1", top_up.top_up, target)
        return target

    async def record(
        self,
        connection: Connection,
        top_up: TopUp,
        before: State | None,
        after: State,
        cause: str,
        payload: str | None,
        at: datetime,
    ) -> None:
        """Write one step down: when, why, which message said so, and under which correlation id."""
        await connection.execute(
            """INSERT INTO transitions (top_up, from_state, to_state, at, cause, payload, correlation)
               VALUES ($1, $2, $3, $4, $5, $6, $7)""",
            top_up.top_up,
            before,
            after,
            at,
            cause,
            payload,
            current_correlation(),
        )

    def _ways(self, start: State) -> dict[State, tuple[State, ...]]:
        """Every state that can be reached from *start*, each with the shortest way there."""
        ways: dict[State, tuple[State, ...]] = {start: ()}
        ahead = deque([start])
        while ahead:
            here = ahead.popleft()
            for there in self.TABLE[here]:
                if there not in ways:
                    ways[there] = (*ways[here], there)
                    ahead.append(there)
        return ways
