from harness.scenario import Draft, scenario


@scenario("hostile-input-is-refused")
def forged_malformed_signature(draft: Draft) -> None:
    """An attacker sends signatures that are none: the careless verifier raises, answers 500 and is asked for ever."""
    unpaid = draft.top_up(draft.account(), method="redirect")
    draft.forge("malformed-signature", unpaid)
