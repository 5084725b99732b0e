from harness.scenario import Draft, scenario


@scenario("hostile-input-is-refused")
def forged_empty_key(draft: Draft) -> None:
    """An attacker signs with the empty key, which a service without a secret would take for its own."""
    unpaid = draft.top_up(draft.account(), method="redirect")
    draft.forge("empty-key", unpaid)
