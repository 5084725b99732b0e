from harness.scenario import Draft, scenario


@scenario("hostile-input-is-refused")
def forged_cross_account(draft: Draft) -> None:
    """The provider's own callback about another merchant's payment, rightly signed, is delivered here."""
    unpaid = draft.top_up(draft.account(), method="redirect")
    draft.forge("cross-account", unpaid)
