from harness.scenario import Draft, scenario

DAY_S = 86_400.0
OLD_FOR_S = 1.0


@scenario("rotation-refuses-nobody", "hostile-input-is-refused")
def rotated_secret(draft: Draft) -> None:
    """The secret of callbacks is rotated: the service hears of the new one, the provider changes over, the old one ends.

    Callbacks come at each step: signed with the old secret alone, with both, with the new one alone. When the old one has
    ended, somebody who has it reports a payment that nobody made.
    """
    unpaid = draft.top_up(draft.account(), method="redirect")
    draft.adopt_secret()
    draft.paid()
    draft.rotate_secret(overlap_s=DAY_S, old_for_s=OLD_FOR_S)
    draft.paid()
    draft.advance(DAY_S)
    draft.paid()
    draft.pause(OLD_FOR_S)
    draft.forge("retired-key", unpaid)
