from harness.scenario import Draft, scenario


@scenario()
def reordered_callbacks(draft: Draft) -> None:
    """A first attempt to pay is declined, a second succeeds, and the news of the success arrives first."""
    with draft.fault("mood", mood="reorder", count=2):
        for _ in range(2):
            top_up = draft.top_up(draft.account(), method="redirect")
            draft.decline(top_up)
            draft.pay(top_up)
            draft.quiet()
            draft.status(top_up)
