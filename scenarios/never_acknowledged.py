from harness.scenario import Draft, scenario


@scenario()
def never_acknowledged(draft: Draft) -> None:
    """The provider does not hear the service's yes, and sends every callback again on its schedule."""
    with draft.fault("mood", mood="never-acknowledged", n=3):
        draft.top_ups(2)
        draft.quiet()
