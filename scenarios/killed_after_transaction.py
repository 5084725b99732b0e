from harness.scenario import CALM_S, Draft, scenario


@scenario()
def killed_after_transaction(draft: Draft) -> None:
    """The service dies after a callback's first commit and before its acknowledgement: the provider will send it again."""
    # Answered, so that the first commit after the callback is the callback's, and not the late end of this.
    waiting = draft.top_up(draft.account(), method="redirect", patience_s=CALM_S)
    kill = draft.fault(
        "kill-at", node="service", link="db", label="COMMIT", writes=True, point="after", since="hook POST"
    )
    with kill as killed:
        draft.pay(waiting)
        draft.touched(killed)
