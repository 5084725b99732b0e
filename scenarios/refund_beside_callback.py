from harness.scenario import Draft, scenario


@scenario("reversed-once", "refunded-at-most-once")
def refund_beside_callback(draft: Draft) -> None:
    """A refund's callback is delivered while the service still waits for the provider's answer to its request.

    Several refunds of several payments at the same instant, while the database is slow.
    """
    top_ups = [draft.paid(parts=2) for _ in range(2)]
    with draft.fault("mood", mood="answer-late"), draft.fault("latency", link="db", ms=10):
        with draft.together():
            for top_up in top_ups:
                draft.refund(top_up)
                draft.refund(top_up)
        draft.quiet()
    for top_up in top_ups:
        draft.status(top_up)
