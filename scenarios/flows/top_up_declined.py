from harness.flow import FlowDraft, flow


@flow
def top_up_declined(draft: FlowDraft) -> None:
    """A top-up that the customer declines at the provider's page: nothing is charged, and nothing may be credited."""
    draft.decline(draft.top_up(draft.account(), method="redirect"))  # a client that hears nothing cannot decline
    draft.quiet()
    account = draft.account()
    with draft.swept():
        top_up = draft.top_up(account, method="redirect")
        draft.decline(top_up)
        draft.quiet()
