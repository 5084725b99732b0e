"""Less money than was asked for."""

from dataclasses import dataclass, replace

from fake_provider.moods import Charge, Charges, arg, mood


@mood
@dataclass(kw_only=True, eq=False)
class SettleLess(Charges):
    """The receiver is told that `percent` of the amount was captured, rounded down but never to nothing; it is true."""

    percent: int = arg(60, at_least=1, at_most=99)

    def charge(self, charge: Charge) -> Charge:
        if not charge.happens:
            return charge
        self.touched += 1
        return replace(charge, taken_minor=max(1, charge.taken_minor * self.percent // 100))
