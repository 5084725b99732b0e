from harness.scenario import Draft, scenario


@scenario("same-key-same-answer")
def same_key_other_customer(draft: Draft) -> None:
    """Two customers happen to choose the same key, for requests of their own; and one of them asks again."""
    ann, bob = draft.account(), draft.account()
    draft.top_up(ann, key="1", amount_minor=2500)
    draft.top_up(bob, key="1", amount_minor=2500)
    draft.quiet()
    draft.top_up(bob, key="1", amount_minor=2500)
