from harness.scenario import Draft, scenario


@scenario()
def instant_duplicates(draft: Draft) -> None:
    """Three copies of each callback arrive at the same instant, on connections of their own, while the database is slow.

    One after another, duplicates do not find a service that looks first and writes later: at once, they do.
    """
    with draft.fault("latency", link="db", ms=15), draft.fault("mood", mood="duplicate-at-once", copies=3):
        draft.top_ups(2)
        draft.quiet()
