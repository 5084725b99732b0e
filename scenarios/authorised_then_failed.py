from harness.scenario import Draft, scenario


@scenario()
def authorised_then_failed(draft: Draft) -> None:
    """The provider reports that a payment is authorised, and an hour later that it failed: no money ever moved."""
    with draft.fault("mood", mood="authorise-then-fail"):
        draft.top_ups(2)
        draft.quiet()
        draft.play_out()
