from harness.scenario import Draft, scenario


@scenario()
def two_event_types(draft: Draft) -> None:
    """The provider tells of each capture under two event types, each with an id of its own: it is the same money."""
    with draft.fault("mood", mood="two-event-types"):
        draft.top_ups(2)
        draft.quiet()
