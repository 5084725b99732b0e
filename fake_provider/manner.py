"""How a message is put on the wire, apart from what it says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """The plain one sends a message whole, at once, and waits for the answer as long as every attempt may take.

    `lost`: nothing leaves, as if there were no way to the receiver. `cut_percent`: the connection ends after so many
    percent of the body. `over_s`: real seconds over which it is spread, in so many `pieces`. `patience_s`: the sender
    hangs up when it has waited so long for an answer.
    """

    lost: bool = False
    cut_percent: int | None = None
    over_s: float = 0.0
    pieces: int = 1
    patience_s: float | None = None

    @property
    def impatience(self) -> str | None:
        """Why an answer was not waited for; None where it was."""
        return None if self.patience_s is None else f"hung up after {self.patience_s:g} s without an answer"

    def of(self, whole: bytes, body_bytes: int) -> bytes:
        """What leaves of a request: always less than all of its body when it is cut."""
        if self.cut_percent is None:
            return whole
        kept = min(body_bytes * self.cut_percent // 100, body_bytes - 1)
        return whole[: len(whole) - body_bytes + max(kept, 0)]

    def pieces_of(self, raw: bytes) -> list[bytes]:
        size = max(1, -(-len(raw) // self.pieces))
        return [raw[start : start + size] for start in range(0, len(raw), size)]

    def gives_up(self, now: float, deadline: float) -> float:
        """When the sender stops waiting for the answer, on the clock of both arguments."""
        return deadline if self.patience_s is None else min(deadline, now + self.patience_s)


PLAIN = Manner()
