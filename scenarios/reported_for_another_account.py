from harness.scenario import Draft, scenario


@scenario("reconciliation-finds-all")
def reported_for_another_account(draft: Draft) -> None:
    """The provider reports one customer's payment as another's, under its own signature: the account is not what was stored."""
    with draft.fault("mood", mood="report-other-account"):
        draft.top_ups(2)
        draft.quiet()
    draft.compare()
