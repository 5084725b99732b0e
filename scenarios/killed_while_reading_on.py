from harness.scenario import Draft, scenario


@scenario("reversed-once")
def killed_while_reading_on(draft: Draft) -> None:
    """No callback tells of a refund, and the service dies in the middle of reading what went back: it has to read that again."""
    refunded = draft.paid(parts=1)
    with draft.fault("mood", mood="drop"):
        draft.give_back(refunded)
        draft.quiet()
    kill = draft.fault(
        "kill-at", node="service", link="db", label="BEGIN", point="before", since="api GET /v1/reversals"
    )
    with kill as killed:
        draft.reconcile()
        draft.touched(killed)
    draft.status(refunded)
