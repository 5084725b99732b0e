from harness.scenario import Draft, scenario


@scenario("duplicates-are-counted")
def replayed_bytes(draft: Draft) -> None:
    """Every callback that was acknowledged comes again, the same to the byte."""
    draft.figures()
    with draft.fault("mood", mood="replay", times=2):
        draft.top_ups(3)
        draft.quiet()
    draft.figures()
