from harness.scenario import Draft, scenario


@scenario("reversed-once")
def chargeback_lost(draft: Draft) -> None:
    """The customer's bank takes a payment back and keeps it; that it was opened and that it was lost are each told twice."""
    with draft.fault("mood", mood="duplicate"):
        whole, part = draft.paid(), draft.paid(parts=1)
        draft.dispute(whole)
        draft.dispute(part, whole=False)
        draft.quiet()
        draft.lose(whole)
        draft.lose(part)
        draft.quiet()
    draft.status(whole)
    draft.status(part)
