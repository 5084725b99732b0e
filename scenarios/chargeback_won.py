from harness.scenario import Draft, scenario


@scenario("reversed-once")
def chargeback_won(draft: Draft) -> None:
    """A bank takes a payment back, the credit is reversed, and then the dispute is won: told twice, and under fresh ids."""
    with draft.fault("mood", mood="duplicate"), draft.fault("mood", mood="replay-fresh-id"):
        whole, part = draft.paid(), draft.paid(parts=1)
        draft.dispute(whole)
        draft.dispute(part, whole=False)
        draft.quiet()
        draft.status(whole)
        draft.win(whole)
        draft.win(part)
        draft.quiet()
    draft.status(whole)
    draft.status(part)
