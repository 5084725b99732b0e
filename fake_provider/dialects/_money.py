"""Amounts as decimal strings. Inside, money is whole minor units; some dialects write it with a point."""

# ISO 4217: how many digits the minor unit has, where that is not two.
EXPONENTS = dict.fromkeys(("JPY", "KRW", "VND", "CLP", "ISK", "UGX", "XAF", "XOF", "XPF", "PYG", "RWF"), 0) | (
    dict.fromkeys(("KWD", "BHD", "OMR", "JOD", "TND", "IQD", "LYD"), 3)
)


def decimal(minor: int, currency: str) -> str:
    """`1234` is `12.34` in EUR, `1234` in JPY and `1.234` in KWD."""
    digits = EXPONENTS.get(currency, 2)
    whole, rest = divmod(minor, 10**digits)
    return f"{whole}.{rest:0{digits}}" if digits else str(whole)


def minor_units(written: str, currency: str) -> int:
    """The reverse; raises `ValueError` for what is no amount of that currency, written plainly."""
    digits = EXPONENTS.get(currency, 2)
    whole, _, rest = written.partition(".")
    if not (written.isascii() and whole.isdigit() and len(whole) <= 13 and len(rest) <= digits):
        raise ValueError(f"{written!r} is no amount in {currency}: write {decimal(1234, currency)}")
    if "." in written and not rest.isdigit():
        raise ValueError(f"{written!r} ends in a point: write {decimal(1234, currency)}")
    return int(whole + rest.ljust(digits, "0"))
