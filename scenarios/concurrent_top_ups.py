from harness.scenario import Draft, scenario


@scenario()
def concurrent_top_ups(draft: Draft) -> None:
    """Two top-ups of one account are paid at the same instant, while the database is slow."""
    for _ in range(2):
        account = draft.account()
        top_ups = [draft.top_up(account, method="redirect") for _ in range(2)]
        with draft.fault("latency", link="db", ms=15):
            with draft.together():
                for top_up in top_ups:
                    draft.pay(top_up)
            draft.quiet()
