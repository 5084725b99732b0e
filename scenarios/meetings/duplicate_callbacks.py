from harness.meeting import MeetingDraft, meeting


@meeting
def duplicate_callbacks(draft: MeetingDraft) -> None:
    """The same callback comes twice at the same instant."""
    top_up = draft.top_up(draft.account(), method="redirect")
    with draft.fault("mood", mood="duplicate-at-once", copies=2), draft.meeting():
        draft.pay(top_up)
