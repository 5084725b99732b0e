from harness.scenario import Draft, scenario


@scenario("same-key-same-answer")
def killed_while_asking(draft: Draft) -> None:
    """The service dies when the provider has taken the money and before it hears so; the client asks again with its key."""
    account = draft.account()
    kill = draft.fault("kill-at", node="service", link="api", label="POST /v1/payments", point="after")
    with kill as killed:
        draft.top_up(account)
        draft.touched(killed)
    draft.quiet()
