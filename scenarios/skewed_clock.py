from harness.scenario import Draft, scenario


@scenario()
def skewed_clock(draft: Draft) -> None:
    """The provider's clock is an hour slow: all that it signs looks stale and is rightly refused, until it gives up."""
    with draft.fault("mood", mood="clock-skew", seconds=-3600):
        draft.top_ups(2)
        draft.play_out()
