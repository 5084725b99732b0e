from harness.scenario import Draft, scenario


@scenario("reversed-once")
def dropped_reversals(draft: Draft) -> None:
    """A refund and a chargeback of payments that were long credited, and of neither does a callback ever come."""
    refunded, charged_back = draft.paid(parts=1), draft.paid()
    with draft.fault("mood", mood="drop"):
        draft.give_back(refunded)
        draft.dispute(charged_back)
        draft.quiet()
    draft.reconcile()
    draft.status(charged_back)
