from harness.scenario import Draft, scenario


@scenario()
def killed_before_transaction(draft: Draft) -> None:
    """The service dies with a callback in its hands, before its database transaction begins."""
    waiting = draft.top_up(draft.account(), method="redirect")
    kill = draft.fault("kill-at", node="service", link="db", label="BEGIN", point="before", since="hook POST")
    with kill as killed:
        draft.pay(waiting)
        draft.touched(killed)
