from harness.scenario import Draft, scenario


@scenario()
def returns_without_paying(draft: Draft) -> None:
    """A customer opens the provider's page, pays nothing, and comes back with a query that says success."""
    unpaid = draft.top_up(draft.account(), method="redirect")
    draft.return_from_provider(unpaid)
    draft.status(unpaid)
