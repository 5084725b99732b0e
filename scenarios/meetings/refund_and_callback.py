from harness.meeting import MeetingDraft, meeting


@meeting
def refund_and_callback(draft: MeetingDraft) -> None:
    """The provider reports a refund while the request that asked for it is still on its way."""
    top_up = draft.paid(parts=1)
    with draft.meeting(together=1):
        draft.refund(top_up)
