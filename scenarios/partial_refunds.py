from harness.scenario import Draft, scenario


@scenario("reversed-once", "refunded-at-most-once")
def partial_refunds(draft: Draft) -> None:
    """A payment is refunded in several parts, by customer service and at the provider; the last part is all that is left."""
    with draft.fault("mood", mood="replay-fresh-id"):
        some = draft.paid(parts=2)
        draft.refund(some)
        draft.give_back(some)
        all_of_it = draft.paid(parts=2)
        draft.give_back(all_of_it)
        draft.refund(all_of_it)
        draft.quiet()
        draft.give_back(all_of_it, whole=True)
        draft.quiet()
    draft.status(some)
    draft.status(all_of_it)
