from harness.scenario import Draft, scenario


@scenario("timeline-is-complete")
def callback_before_answer(draft: Draft) -> None:
    """The provider answers an initiation only when its callback has had its answer: whoever locks one against the other waits."""
    with draft.fault("mood", mood="answer-late"):
        draft.top_ups(2)
        draft.quiet()
