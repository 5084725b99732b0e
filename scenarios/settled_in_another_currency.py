from harness.scenario import Draft, scenario


@scenario("reconciliation-finds-all")
def settled_in_another_currency(draft: Draft) -> None:
    """The same number of minor units is captured in another currency: of yen, which have none, and of dinars, which have three."""
    for currency in ("JPY", "KWD"):
        with draft.fault("mood", mood="settle-other-currency", currency=currency):
            draft.top_ups(1)
            draft.quiet()
    draft.compare()
