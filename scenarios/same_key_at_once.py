from harness.scenario import Draft, scenario


@scenario("same-key-same-answer")
def same_key_at_once(draft: Draft) -> None:
    """One request is sent twice at the same instant under one key, while the database is slow; the card is charged once.

    Three times over: the first warms the service's connections, so that the others really meet.
    """
    with draft.fault("latency", link="db", ms=15):
        for number in range(3):
            account = draft.account()
            with draft.together():
                first = draft.top_up(account, key=f"twice-{number}", amount_minor=2500)
                draft.top_up(account, key=f"twice-{number}", amount_minor=2500)
            draft.quiet()
    draft.status(first)
