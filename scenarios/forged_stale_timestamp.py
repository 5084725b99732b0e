from harness.scenario import Draft, scenario


@scenario("hostile-input-is-refused")
def forged_stale_timestamp(draft: Draft) -> None:
    """Somebody kept a genuine callback for an hour, signature and all, and sends it again."""
    (paid,) = draft.top_ups(1)
    draft.quiet()
    draft.forge("stale-timestamp", paid)
