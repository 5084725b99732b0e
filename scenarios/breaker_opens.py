from harness.scenario import Draft, scenario


@scenario("answered-in-time")
def breaker_opens(draft: Draft) -> None:
    """The provider takes the money and its answers are lost, until the service leaves it alone; more customers come meanwhile.

    The callbacks that would tell come only afterwards.
    """
    with draft.fault("settings", named="nervous"):
        with draft.fault("mood", mood="delay"), draft.fault("lose-answers", link="api"):
            draft.top_ups_at_once(3)
            draft.top_ups_at_once(2)
        draft.quiet()
