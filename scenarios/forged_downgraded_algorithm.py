from harness.scenario import Draft, scenario


@scenario("hostile-input-is-refused")
def forged_downgraded_algorithm(draft: Draft) -> None:
    """An attacker has the message itself say that an older algorithm is good enough for it."""
    unpaid = draft.top_up(draft.account(), method="redirect")
    draft.forge("downgraded-algorithm", unpaid)
