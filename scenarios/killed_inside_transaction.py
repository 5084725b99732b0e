from harness.scenario import Draft, scenario


@scenario()
def killed_inside_transaction(draft: Draft) -> None:
    """The service dies inside a callback's database transaction: all is written, nothing is committed."""
    waiting = draft.top_up(draft.account(), method="redirect")
    kill = draft.fault(
        "kill-at", node="service", link="db", label="COMMIT", writes=True, point="before", since="hook POST"
    )
    with kill as killed:
        draft.pay(waiting)
        draft.touched(killed)
