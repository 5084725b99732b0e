from harness.scenario import Draft, scenario


@scenario()
def slow_callbacks(draft: Draft) -> None:
    """Three copies of each callback trickle in side by side, and are complete at the same instant, while the database is slow.

    A receiver that gives up on the slow one, or keeps others waiting for it, is no better than one that credits three times.
    """
    slowly = draft.fault("mood", mood="slow-body", over_s=0.3, pieces=20)
    with draft.fault("latency", link="db", ms=15), slowly, draft.fault("mood", mood="duplicate-at-once", copies=3):
        draft.top_ups(2)
        draft.quiet()
