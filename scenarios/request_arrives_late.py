from harness.scenario import Draft, scenario


@scenario("answered-in-time")
def request_arrives_late(draft: Draft) -> None:
    """Requests to the provider are stuck on the way, upstream: the service gives up on them, and then they arrive."""
    with draft.fault("stall", link="api", stream="upstream"):
        draft.top_ups_at_once(2)
    draft.quiet()
