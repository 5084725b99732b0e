from harness.scenario import Draft, scenario


@scenario()
def provider_down(draft: Draft) -> None:
    """The provider is not there when two customers want to pay; it comes back."""
    accounts = [draft.account() for _ in range(2)]
    with draft.fault("refuse", link="api"), draft.together():
        for account in accounts:
            draft.top_up(account)
    draft.reconcile()
    draft.quiet()
