"""More money than was asked for."""

from dataclasses import dataclass, replace

from fake_provider.moods import Charge, Charges, arg, mood


@mood
@dataclass(kw_only=True, eq=False)
class SettleMore(Charges):
    """The receiver is told that `percent` of the amount was captured, rounded down but never to the same; it is true."""

    percent: int = arg(150, at_least=101, at_most=10_000)

    def charge(self, charge: Charge) -> Charge:
        if not charge.happens:
            return charge
        self.touched += 1
        return replace(charge, taken_minor=max(charge.taken_minor + 1, charge.taken_minor * self.percent // 100))
