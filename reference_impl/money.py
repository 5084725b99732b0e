"""Money is an integer number of minor units and a currency. There are no fractions anywhere in this service."""

from dataclasses import dataclass

EXPONENTS = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}
"""How many minor digits each supported currency has (ISO 4217). Needed only to show an amount to a person."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount that is above zero, in a currency that is supported."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount_minor) is not int or self.amount_minor <= 0:
            raise ValueError(f"An amount is a whole number of minor units above zero, not {self.amount_minor!r}.")
        if self.currency not in EXPONENTS:
            raise ValueError(f"There is no currency {self.currency!r} here, only {', '.join(EXPONENTS)}.")

    def __str__(self) -> str:
        digits = EXPONENTS[self.currency]
        whole, rest = divmod(self.amount_minor, 10**digits)
        return f"{whole}.{rest:0{digits}} {self.currency}" if digits else f"{whole} {self.currency}"
