from harness.scenario import Draft, scenario


@scenario("same-key-same-answer")
def same_key_other_amount(draft: Draft) -> None:
    """A key that was used for one amount is used for another."""
    account = draft.account()
    first = draft.top_up(account, method="redirect", key="one", amount_minor=2500)
    draft.top_up(account, method="redirect", key="one", amount_minor=9900)
    draft.pay(first)
    draft.quiet()
