from harness.scenario import Draft, scenario


@scenario()
def contradicting_callbacks(draft: Draft) -> None:
    """The provider says that a payment failed, and then that it was captured after all; the second is the truth."""
    with draft.fault("mood", mood="contradict"):
        draft.top_ups(3)
        draft.quiet()
