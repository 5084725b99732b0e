from harness.scenario import Draft, scenario


@scenario()
def ledger_write_failure(draft: Draft) -> None:
    """The database is gone when the callback comes, and back when the provider tries again."""
    top_ups = [draft.top_up(draft.account(), method="redirect") for _ in range(2)]
    with draft.fault("refuse", link="db"):
        for top_up in top_ups:
            draft.pay(top_up)
        draft.quiet()
