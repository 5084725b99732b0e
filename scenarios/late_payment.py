from harness.scenario import Draft, scenario


@scenario("told-once")
def late_payment(draft: Draft) -> None:
    """Two customers take their time at the provider's page, and are told that their payment is late; one pays, one does not."""
    with draft.fault("settings", named="telling"):
        late = draft.top_ups(2, method="redirect")
        for _ in range(3):
            draft.pause(0.4)
            draft.reconcile()
        draft.pause(0.4)
        draft.pay(late[0])
        draft.decline(late[1])
        draft.quiet()
        draft.pause(0.4)
