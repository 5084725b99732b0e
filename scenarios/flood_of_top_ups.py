from harness.scenario import Draft, scenario


@scenario("answered-in-time")
def flood_of_top_ups(draft: Draft) -> None:
    """Three dozen want to top up at the same instant, many more than the service has room for, while the database is late.

    Some who asked before pay in the middle of it.
    """
    with draft.fault("settings", named="crowded"):
        paying = [draft.top_up(draft.account(), method="redirect") for _ in range(2)]
        accounts = [draft.account() for _ in range(9)]
        with draft.fault("latency", link="db", ms=50), draft.together():
            for top_up in paying:
                draft.pay(top_up)
            for account in accounts * 4:
                draft.top_up(account, method="redirect")
        draft.quiet()
