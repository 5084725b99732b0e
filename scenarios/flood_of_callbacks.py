from harness.scenario import Draft, scenario


@scenario()
def flood_of_callbacks(draft: Draft) -> None:
    """Eight customers pay at the same instant; the service has room for fewer callbacks than that, and the database is late."""
    with draft.fault("settings", named="crowded"):
        top_ups = draft.top_ups(8, method="redirect")
        with draft.fault("latency", link="db", ms=40):
            with draft.together():
                for top_up in top_ups:
                    draft.pay(top_up)
            draft.quiet()
