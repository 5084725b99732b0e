from harness.scenario import Draft, scenario


@scenario("hostile-input-is-refused")
def forged_fresh_timestamp(draft: Draft) -> None:
    """Somebody sends a genuine callback again, signature and all, and only puts a fresh time in the place of the signed one."""
    (paid,) = draft.top_ups(1)
    draft.quiet()
    draft.forge("fresh-timestamp", paid)
