from harness.meeting import MeetingDraft, meeting


@meeting
def same_key_twice(draft: MeetingDraft) -> None:
    """A client sends the same request with the same key twice at once; what the provider reports comes afterwards."""
    account = draft.account()
    key = f"twice-{account}"
    with draft.fault("mood", mood="delay"), draft.meeting(), draft.together():
        draft.top_up(account, key=key, amount_minor=2500)
        draft.top_up(account, key=key, amount_minor=2500)
