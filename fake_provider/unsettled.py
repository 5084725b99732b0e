"""How far a provider is from rest."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unsettled:
    """How many callbacks are not at rest, how many deeds are `ahead`, and when the next of either is due."""

    in_flight: int
    due: int
    held: int
    next_due_s: float | None
    ahead: int = 0

    @property
    def reason(self) -> str | None:
        """Why the provider is not at rest, in words; None when it is."""
        parts = []
        if self.in_flight:
            parts.append(f"{_callbacks(self.in_flight)} in flight")
        if self.due:
            parts.append(f"{_callbacks(self.due)} due in {self.next_due_s:g} s")
        if self.ahead:
            parts.append(f"{self.ahead} of the bank's deeds ahead, something due in {self.next_due_s:g} s")
        if self.held:
            parts.append(f"{_callbacks(self.held)} held by a mood")
        return "; ".join(parts) or None


def _callbacks(count: int) -> str:
    return f"{count} callback{'' if count == 1 else 's'}"
