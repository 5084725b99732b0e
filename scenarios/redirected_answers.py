from harness.scenario import Draft, scenario


@scenario()
def redirected_answers(draft: Draft) -> None:
    """The provider takes the money and answers with a redirect: no success, no failure, and nothing to charge again for."""
    with draft.fault("mood", mood="redirect", n=1):
        draft.top_ups(3)
        draft.quiet()
