from harness.scenario import Draft, scenario


@scenario("hostile-input-is-refused")
def forged_wrong_key(draft: Draft) -> None:
    """An attacker reports a payment that nobody made, signed in due form with a key of their own."""
    unpaid = draft.top_up(draft.account(), method="redirect")
    draft.forge("wrong-key", unpaid)
