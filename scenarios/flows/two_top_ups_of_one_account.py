from harness.flow import FlowDraft, flow


@flow
def two_top_ups_of_one_account(draft: FlowDraft) -> None:
    """Two top-ups by card of the same account, one after the other: what breaks the first must not cost the second."""
    account = draft.account()
    with draft.swept():
        draft.top_up(account)
        draft.top_up(account)
        draft.quiet()
