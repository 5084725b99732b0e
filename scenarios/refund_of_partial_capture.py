from harness.scenario import Draft, scenario


@scenario("reversed-once")
def refund_of_partial_capture(draft: Draft) -> None:
    """The provider captures less than was asked for, and gives a part of that back: what was never credited stays so."""
    draft.give_back(draft.paid(), whole=True)
    with draft.fault("mood", mood="settle-less", percent=60):
        top_up = draft.top_up(draft.account(), method="redirect", parts=1)
        draft.pay(top_up)
        draft.quiet()
        draft.give_back(top_up)
        draft.quiet()
