from harness.scenario import Draft, scenario


@scenario()
def failed_then_paid(draft: Draft) -> None:
    """A payment fails; an hour later the customer has paid with another card. Both are told, and both are true."""
    with draft.fault("mood", mood="fail-then-succeed"):
        draft.top_ups(2)
        draft.quiet()
        draft.play_out()
