from harness.scenario import Draft, scenario


@scenario()
def acknowledged_too_late(draft: Draft) -> None:
    """The provider hangs up before the service can answer, twice for each callback, and then sends it once more."""
    with draft.fault("mood", mood="acknowledge-late", first=2):
        draft.top_ups(3)
        draft.play_out()
