from harness.scenario import Draft, scenario


@scenario("reversed-once")
def refund_before_capture(draft: Draft) -> None:
    """A payment is refunded at once, in part or whole, and the news of the refund overtakes that of the capture."""
    with draft.fault("mood", mood="reorder", count=2):
        for whole in (False, True):
            top_up = draft.top_up(draft.account(), method="redirect", parts=1)
            draft.pay(top_up)
            draft.give_back(top_up, whole=whole)
            draft.quiet()
            draft.status(top_up)
