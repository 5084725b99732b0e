from harness.scenario import Draft, scenario


@scenario()
def replayed_fresh_id(draft: Draft) -> None:
    """Every payment is reported a second time under a new event id, freshly and rightly signed."""
    with draft.fault("mood", mood="replay-fresh-id", times=1):
        draft.top_ups(3)
        draft.quiet()
