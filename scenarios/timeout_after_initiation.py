from harness.scenario import Draft, scenario


@scenario()
def timeout_after_initiation(draft: Draft) -> None:
    """The provider takes the money, and its answer to the initiation never arrives: downstream, done and nobody was told.

    The callback that would tell comes only when the initiation has given up.
    """
    with draft.fault("mood", mood="delay"), draft.fault("lose-answers", link="api"):
        draft.top_ups_at_once(2)
    draft.quiet()
