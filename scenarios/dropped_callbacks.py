from harness.scenario import Draft, scenario


@scenario("timeline-is-complete")
def dropped_callbacks(draft: Draft) -> None:
    """The provider's callbacks are lost for good: only a service that asks by itself will ever know of the payments."""
    with draft.fault("mood", mood="drop"):
        draft.top_ups(3)
        draft.quiet()
