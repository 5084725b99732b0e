from harness.scenario import Draft, scenario


@scenario()
def captured_in_parts(draft: Draft) -> None:
    """A payment is captured bit by bit, and each callback tells the sum so far: at last all of it, or less than was asked for."""
    for percent in (100, 60):
        with draft.fault("mood", mood="capture-in-parts", parts=3, percent=percent):
            draft.top_ups(1)
            draft.quiet()
            draft.play_out()
