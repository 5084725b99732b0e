from harness.scenario import Draft, scenario


@scenario("reversed-once")
def chargeback_out_of_order(draft: Draft) -> None:
    """That a dispute was won, or lost, is heard before it was opened; the one is won, refunded in part and disputed again."""
    won, lost = draft.paid(parts=1), draft.paid(parts=1)
    draft.give_back(lost)
    draft.quiet()
    with draft.fault("mood", mood="reorder", count=2):
        draft.dispute(won)
        draft.win(won)
        draft.dispute(lost)
        draft.lose(lost)
        draft.quiet()
    draft.give_back(won)
    draft.dispute(won)
    draft.quiet()
    draft.status(won)
    draft.status(lost)
