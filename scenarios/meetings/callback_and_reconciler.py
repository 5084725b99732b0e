from harness.meeting import MeetingDraft, meeting


@meeting
def callback_and_reconciler(draft: MeetingDraft) -> None:
    """A payment is reported while the service asks the provider about it."""
    top_up = draft.top_up(draft.account(), method="redirect")
    with draft.meeting(), draft.together():
        draft.pay(top_up)
        draft.reconcile()
