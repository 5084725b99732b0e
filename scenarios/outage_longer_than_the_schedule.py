from harness.scenario import Draft, scenario


@scenario()
def outage_longer_than_the_schedule(draft: Draft) -> None:
    """For days the provider finds no way to the service, and gives up on what it had to tell: only asking helps."""
    with draft.fault("mood", mood="outage"):
        draft.top_ups(2)
        draft.play_out()
