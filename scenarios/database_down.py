from harness.scenario import Draft, scenario


@scenario()
def database_down(draft: Draft) -> None:
    """The database is gone: somebody wants to top up, somebody reads his status, somebody has paid. Then it is back."""
    waiting = draft.top_up(draft.account(), method="redirect")
    account = draft.account()
    with draft.fault("refuse", link="db"):
        draft.top_up(account, method="redirect", key="again", amount_minor=2500)
        draft.status(waiting)
        draft.pay(waiting)
        draft.quiet()
        draft.reconcile()
    draft.status(waiting)
    draft.top_up(account, method="redirect", key="again", amount_minor=2500)
    draft.quiet()
