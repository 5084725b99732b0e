from harness.meeting import MeetingDraft, meeting


@meeting
def two_reconcilers(draft: MeetingDraft) -> None:
    """The service asks the provider about a payment twice at the same time, and no callback ever told of it."""
    top_up = draft.top_up(draft.account(), method="redirect")
    with draft.fault("mood", mood="drop"):
        draft.pay(top_up)
        draft.quiet()
        with draft.meeting(), draft.together():
            draft.reconcile()
            draft.reconcile()
