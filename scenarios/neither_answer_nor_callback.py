from harness.scenario import Draft, scenario


@scenario()
def neither_answer_nor_callback(draft: Draft) -> None:
    """The provider takes the money, its answer to the initiation is lost, and so is every callback: only asking will tell."""
    with draft.fault("mood", mood="drop"), draft.fault("lose-answers", link="api"):
        draft.top_ups_at_once(2)
        draft.quiet()
