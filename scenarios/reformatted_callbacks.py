from harness.scenario import Draft, scenario


@scenario()
def reformatted_callbacks(draft: Draft) -> None:
    """The provider writes its callbacks differently from one day to the next, and signs what it writes."""
    with draft.fault("mood", mood="reformat"):
        draft.top_ups(2)
        draft.quiet()
