from harness.scenario import Draft, scenario


@scenario()
def partial_capture(draft: Draft) -> None:
    """The provider captures less than was asked for, and says so truthfully."""
    with draft.fault("mood", mood="settle-less", percent=60):
        draft.top_ups(2)
        draft.quiet()
