from harness.scenario import Draft, scenario


@scenario("access-is-kept")
def another_tenant_asks(draft: Draft) -> None:
    """Another tenant's program, with a key that is good there, asks about a customer and a top-up that it was never told of."""
    account = draft.account()
    top_up = draft.paid(account=account, parts=1)
    draft.status(top_up)
    draft.balance(account)
    with draft.asking_as("stranger"):
        draft.balance(account)
        draft.status(top_up)
        draft.top_up(account)
    draft.refund(top_up)
    draft.quiet()
