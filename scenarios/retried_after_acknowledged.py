from harness.scenario import Draft, scenario


@scenario()
def retried_after_acknowledged(draft: Draft) -> None:
    """The provider notes the service's yes, and goes on with its schedule all the same."""
    with draft.fault("mood", mood="retry-after-acknowledged", attempts=4):
        draft.top_ups(2)
        draft.play_out()
