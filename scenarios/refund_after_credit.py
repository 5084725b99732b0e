from harness.scenario import Draft, scenario


@scenario("reversed-once", "refunded-at-most-once")
def refund_after_credit(draft: Draft) -> None:
    """Customer service gives a part of a credit back, asks the same once more, and refunds a whole one.

    Every callback comes twice, so that each refund is told of three times: by the provider's answer and by two callbacks.
    """
    with draft.fault("mood", mood="duplicate"):
        part = draft.paid(parts=1)
        amount = draft.part(part)
        draft.refund(part, amount_minor=amount, key="again")
        draft.quiet()
        draft.refund(part, amount_minor=amount, key="again")
        whole = draft.top_up(draft.account(), amount_minor=2500)
        draft.quiet()
        draft.refund(whole, amount_minor=2500)
        draft.quiet()
    draft.status(part)
    draft.status(whole)
