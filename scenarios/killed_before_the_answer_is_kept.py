from harness.scenario import Draft, scenario


@scenario("same-key-same-answer")
def killed_before_the_answer_is_kept(draft: Draft) -> None:
    """The service dies when it would write down under its key what it answers; the customer gives up at the provider's page, and
    the client asks again.
    """
    draft.decline(draft.top_up(draft.account(), method="redirect"))
    draft.quiet()
    account = draft.account()
    kill = draft.fault("kill-at", node="service", link="db", label="UPDATE idempotency_keys", point="before")
    with kill as killed:
        asked = draft.top_up(account, method="redirect", key="again", amount_minor=2500)
        draft.touched(killed)
    draft.decline(asked)
    draft.quiet()
    draft.pause(1.2)  # until a claim on the key runs out
    draft.top_up(account, method="redirect", key="again", amount_minor=2500)
    draft.quiet()
