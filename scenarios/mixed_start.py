from harness.scenario import Draft, scenario


@scenario("mixed-starts-are-refused")
def mixed_start(draft: Draft) -> None:
    """Somebody starts the service with what belongs elsewhere: a live key, the live provider, another environment's database."""
    draft.start_mixed("live-key")
    draft.start_mixed("live-provider")
    draft.start_mixed("database-of-another")
