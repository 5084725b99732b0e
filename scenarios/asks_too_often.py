from harness.scenario import Draft, scenario


@scenario("limits-are-kept")
def asks_too_often(draft: Draft) -> None:
    """A customer asks for more top-ups than he may in so short a time, is told to wait, does, and asks again."""
    with draft.fault("settings", named="limited"):
        account = draft.account()
        for _ in range(3):
            draft.top_up(account, method="redirect")
        with draft.together():
            for _ in range(4):
                draft.top_up(account, method="redirect")
        draft.pause(2.5)
        draft.pay(draft.top_up(account, method="redirect"))
        draft.quiet()
