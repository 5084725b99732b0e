from harness.scenario import Draft, scenario


@scenario()
def duplicate_callbacks(draft: Draft) -> None:
    """The provider delivers every callback twice, one after the other, as every provider sooner or later does."""
    with draft.fault("mood", mood="duplicate", copies=2):
        draft.top_ups(3)
        draft.quiet()
