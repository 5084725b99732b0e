from harness.scenario import Draft, scenario


@scenario("limits-are-kept")
def restarted_while_limited(draft: Draft) -> None:
    """A customer has asked for as many top-ups as he may; the service is killed, and comes up again; he asks for more."""
    with draft.fault("settings", named="limited-for-long"):
        account = draft.account()
        for _ in range(4):
            draft.top_up(account, method="redirect")
        with draft.fault("kill", node="service"):
            draft.top_up(draft.account(), method="redirect")
        for _ in range(3):
            draft.top_up(account, method="redirect")
        draft.quiet()
