from harness.flow import FlowDraft, flow


@flow
def top_up_paid(draft: FlowDraft) -> None:
    """A top-up by card: charged at once, reported by callback, credited."""
    account = draft.account()
    with draft.swept():
        draft.top_up(account)
        draft.quiet()
