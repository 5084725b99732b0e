from harness.scenario import Draft, scenario


@scenario()
def replayed_bytes(draft: Draft) -> None:
    """Every callback that was acknowledged comes again, the same to the byte."""
    with draft.fault("mood", mood="replay", times=2):
        draft.top_ups(3)
        draft.quiet()
