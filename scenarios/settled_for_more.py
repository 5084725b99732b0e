from harness.scenario import Draft, scenario


@scenario("reconciliation-finds-all")
def settled_for_more(draft: Draft) -> None:
    """The customer's bank settles more than was asked for, and the provider says so truthfully."""
    with draft.fault("mood", mood="settle-more", percent=150):
        draft.top_ups(2)
        draft.quiet()
    draft.compare()
