from harness.flow import FlowDraft, flow


@flow
def reconcile_after_lost_callback(draft: FlowDraft) -> None:
    """The callback of a payment never comes, and the service is made to ask the provider: that asking is swept."""
    account = draft.account()
    with draft.fault("mood", mood="drop"):
        draft.top_up(account)
        draft.quiet()
        with draft.swept():
            draft.reconcile()
            draft.quiet()
