from harness.scenario import Draft, scenario


@scenario("odd-is-reviewed")
def large_amounts(draft: Draft) -> None:
    """Somebody tops up by a quarter of a million and a cent: what counts in floating point loses the cent."""
    top_up = draft.top_up(draft.account(), method="redirect", amount_minor=25_000_001)
    draft.pay(top_up)
    draft.quiet()
    draft.reviews(at_least_minor=10_000_000)
