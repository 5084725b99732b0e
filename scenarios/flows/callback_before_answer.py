from harness.flow import FlowDraft, flow


@flow
def callback_before_answer(draft: FlowDraft) -> None:
    """The provider answers an initiation only when its callback was answered; a client that was cut off asks again."""
    account = draft.account()
    with draft.fault("mood", mood="answer-late") as mood:
        with draft.swept():
            draft.top_up(account, key="again", amount_minor=2500)
            draft.quiet()
        draft.touched(mood, at_most_s=2.5)  # at once in calm; else until a claim on the key runs out
        draft.top_up(account, key="again", amount_minor=2500)
        draft.quiet()
        draft.reconcile()  # a provider that was dead for as long as the service asked has yet to hear of the payment
        draft.quiet()
