from harness.flow import FlowDraft, flow


@flow
def duplicate_callback(draft: FlowDraft) -> None:
    """A top-up by card whose callback is delivered twice; a client that was cut off asks again while that is still so."""
    account = draft.account()
    with draft.fault("mood", mood="duplicate", copies=2) as mood:
        with draft.swept():
            draft.top_up(account, key="again", amount_minor=2500)
            draft.quiet()
        draft.touched(mood, at_most_s=2.5)  # at once in calm; else until a claim on the key runs out
        draft.top_up(account, key="again", amount_minor=2500)
        draft.quiet()
        draft.reconcile()  # a provider that was dead for as long as the service asked has yet to hear of the payment
        draft.quiet()
