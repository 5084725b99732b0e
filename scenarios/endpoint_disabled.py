from harness.scenario import Draft, scenario


@scenario()
def endpoint_disabled(draft: Draft) -> None:
    """The service is not there for a while, and the provider disables its endpoint: nothing is sent any more, nor sent again.

    When the service is back, nobody tells it. It has to ask.
    """
    with draft.fault("mood", mood="endpoint-disabled", refusals=1):
        with draft.fault("refuse", link="hook"):
            draft.top_ups(1)
            draft.quiet()
        draft.top_ups(2)
        draft.play_out()
