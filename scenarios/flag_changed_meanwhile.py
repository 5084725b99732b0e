from harness.scenario import Draft, scenario


@scenario("audit-is-complete", "reversed-once")
def flag_changed_meanwhile(draft: Draft) -> None:
    """The new way of posting is put on and off while customers pay and get money back; every callback comes three times."""
    refunded = draft.paid(parts=2)
    with draft.fault("mood", mood="duplicate-at-once"):
        with draft.meanwhile() as paying:
            for _ in range(3):
                draft.top_ups_at_once(2)
        draft.switch("on")
        draft.give_back(refunded)
        draft.switch("off")
        draft.give_back(refunded)
        draft.switch("on")
        draft.join(paying)
        draft.quiet()
    draft.switch("off")
    draft.audit()
