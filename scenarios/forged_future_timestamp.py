from harness.scenario import Draft, scenario


@scenario("hostile-input-is-refused")
def forged_future_timestamp(draft: Draft) -> None:
    """A rightly signed callback is dated an hour ahead: accepted once, it would be accepted for an hour to come."""
    (paid,) = draft.top_ups(1)
    draft.quiet()
    draft.forge("future-timestamp", paid)
