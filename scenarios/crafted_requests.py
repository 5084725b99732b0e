from harness.scenario import Draft, scenario


@scenario("crafted-requests-are-refused", "hostile-input-is-refused")
def crafted_requests(draft: Draft) -> None:
    """Requests whose bodies never end, trickle in, nest too deep or say two things, while honest customers pay.

    And callbacks of the same kind, rightly signed.
    """
    unpaid = draft.top_up(draft.account(), method="redirect")
    account = draft.account()
    with draft.meanwhile() as slow:
        draft.assault("trickle", account)
    for how in ("endless", "deep", "twice"):
        draft.assault(how, account)
    draft.paid()
    for forgery in ("deeply-nested", "repeated-key", "not-utf-8"):
        draft.forge(forgery, unpaid)
    draft.join(slow)
