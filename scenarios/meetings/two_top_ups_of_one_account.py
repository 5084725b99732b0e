from harness.meeting import MeetingDraft, meeting


@meeting
def two_top_ups_of_one_account(draft: MeetingDraft) -> None:
    """Two payments of one account are reported at the same instant."""
    account = draft.account()
    first = draft.top_up(account, method="redirect")
    second = draft.top_up(account, method="redirect")
    with draft.meeting(), draft.together():
        draft.pay(first)
        draft.pay(second)
