from harness.scenario import Draft, scenario


@scenario("reversed-once", "refunded-at-most-once")
def refund_without_answer(draft: Draft) -> None:
    """The provider gives money back and answers with an error: whoever takes another key to ask again gives it back twice."""
    calm = draft.paid(parts=1)
    draft.refund(calm)
    top_up = draft.paid(parts=1)
    with draft.fault("mood", mood="error-after-capture", n=2):
        draft.refund(top_up)
        draft.quiet()
    draft.status(top_up)
