"""Other money than was asked for."""

from dataclasses import dataclass, replace

from fake_provider.moods import Charge, Charges, choice, mood


@mood
@dataclass(kw_only=True, eq=False)
class SettleOtherCurrency(Charges):
    """The receiver is told that as many minor units of `currency` were captured as were asked for of another; it is true.

    The number is the same and the worth is not: a yen has no minor unit, a Kuwaiti dinar has three decimals. What was
    ordered in that currency anyway is left alone.
    """

    currency: str = choice("JPY", "KWD", "USD")

    def charge(self, charge: Charge) -> Charge:
        if not charge.happens or charge.currency == self.currency:
            return charge
        self.touched += 1
        return replace(charge, currency=self.currency)
