from harness.scenario import Draft, scenario


@scenario()
def provider_down(draft: Draft) -> None:
    """The provider is not there when two customers want to pay; it comes back."""
    with draft.fault("refuse", link="api"):
        draft.top_ups_at_once(2)
    draft.reconcile()
    draft.quiet()
