from harness.scenario import Draft, scenario


@scenario("hostile-input-is-refused")
def forged_unsigned(draft: Draft) -> None:
    """An attacker reports a payment that nobody made, without any signature."""
    unpaid = draft.top_up(draft.account(), method="redirect")
    draft.forge("unsigned", unpaid)
