from harness.scenario import Draft, scenario


@scenario()
def provider_slow(draft: Draft) -> None:
    """The provider answers every call, later than the service is willing to wait; so do its callbacks."""
    with draft.fault("mood", mood="delay"), draft.fault("latency", link="api", ms=600):
        draft.top_ups_at_once(2)
    draft.quiet()
