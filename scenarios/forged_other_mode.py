from harness.scenario import Draft, scenario


@scenario("hostile-input-is-refused")
def forged_other_mode(draft: Draft) -> None:
    """A payment made with play money in the provider's other mode, rightly signed, is reported here."""
    unpaid = draft.top_up(draft.account(), method="redirect")
    draft.forge("other-mode", unpaid)
