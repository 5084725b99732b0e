from harness.scenario import Draft, scenario


@scenario("hostile-input-is-refused")
def forged_tampered_body(draft: Draft) -> None:
    """An attacker puts a body of their own under the headers of a genuine callback, signature included."""
    unpaid = draft.top_up(draft.account(), method="redirect")
    draft.forge("tampered-body", unpaid)
