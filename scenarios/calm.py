from harness.scenario import Draft, scenario


@scenario()
def calm(draft: Draft) -> None:
    """Nothing goes wrong: people pay at the provider's page, in euros and in yen, and one of them is declined."""
    draft.paid("EUR")
    paid = draft.paid("JPY")
    declined = draft.top_up(draft.account(), method="redirect")
    draft.decline(declined)
    draft.quiet()
    draft.status(paid)
    draft.status(declined)
