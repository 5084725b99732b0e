from harness.flow import FlowDraft, flow


@flow
def top_up_refunded(draft: FlowDraft) -> None:
    """A top-up is paid, and then customer service gives a part of it back; a client that was cut off asks again."""
    draft.refund(draft.paid(parts=1))  # a client that hears nothing of its top-up cannot ask for a refund
    top_up = draft.paid(parts=1)
    amount = draft.part(top_up)
    with draft.swept():
        draft.refund(top_up, amount_minor=amount, key="again")
        draft.quiet()
    draft.refund(top_up, amount_minor=amount, key="again")
    draft.quiet()
