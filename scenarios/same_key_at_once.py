from harness.scenario import Draft, scenario


@scenario("same-key-same-answer")
def same_key_at_once(draft: Draft) -> None:
    """One request is sent twice at the same instant under one key; the card is to be charged once."""
    account = draft.account()
    with draft.fault("latency", link="db", ms=15), draft.together():
        first = draft.top_up(account, key="twice", amount_minor=2500)
        draft.top_up(account, key="twice", amount_minor=2500)
    draft.status(first)
