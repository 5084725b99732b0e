from harness.scenario import Draft, scenario


@scenario("access-is-kept")
def revoked_key(draft: Draft) -> None:
    """A key that was revoked is tried again, for everything that it was once good for."""
    account = draft.account()
    top_up = draft.paid(account=account)
    draft.status(top_up)
    draft.balance(account)
    draft.reconcile()
    with draft.asking_as("former"):
        draft.status(top_up)
        draft.balance(account)
        draft.top_up(account)
        draft.reconcile()
    draft.quiet()
