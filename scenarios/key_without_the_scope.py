from harness.scenario import Draft, scenario


@scenario("access-is-kept")
def key_without_the_scope(draft: Draft) -> None:
    """A till, whose key may ask for top-ups and look at them, asks for what is the operators'."""
    account = draft.account()
    with draft.asking_as("initiator"):
        top_up = draft.top_up(account)
        draft.status(top_up)
        draft.reconcile()
        draft.compare()
    draft.quiet()
    draft.reconcile()
    draft.compare()
