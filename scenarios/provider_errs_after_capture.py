from harness.scenario import Draft, scenario


@scenario()
def provider_errs_after_capture(draft: Draft) -> None:
    """The provider takes the money and answers 500: an error after the deed. The callback comes later."""
    with draft.fault("mood", mood="delay"), draft.fault("mood", mood="error-after-capture", n=1):
        draft.top_ups(3)
    draft.quiet()
