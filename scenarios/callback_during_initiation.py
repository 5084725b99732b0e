from harness.scenario import Draft, scenario


@scenario()
def callback_during_initiation(draft: Draft) -> None:
    """The callback arrives while the initiation still waits for its answer, which comes late but comes."""
    with draft.fault("latency", link="api", ms=200):
        draft.top_ups(2)
        draft.quiet()
