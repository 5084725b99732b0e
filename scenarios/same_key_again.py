from harness.scenario import Draft, scenario


@scenario("same-key-same-answer")
def same_key_again(draft: Draft) -> None:
    """A client that did not hear the answer sends its request again under the same key; the customer pays once."""
    account = draft.account()
    first = draft.top_up(account, method="redirect", key="again", amount_minor=2500)
    draft.top_up(account, method="redirect", key="again", amount_minor=2500)
    draft.pay(first)
    draft.quiet()
