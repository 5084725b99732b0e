from harness.meeting import MeetingDraft, meeting


@meeting
def callback_and_initiation(draft: MeetingDraft) -> None:
    """A payment is reported while the request that began it is still on its way."""
    account = draft.account()
    with draft.meeting(together=1):
        draft.top_up(account)
