from harness.scenario import Draft, scenario

LARGE_MINOR = 20_000
APART_S = 60.0


@scenario("corrections-are-approved", "reconciliation-finds-all", "audit-is-complete")
def corrected_by_hand(draft: Draft) -> None:
    """Captures that were not credited are found by comparing the books, and operators correct them.

    A small one is posted at once, asked for twice, and then the callback comes that would have credited it. Large ones wait:
    who asked cannot approve; of two, somebody else approves one, twice at the same instant. In the end the audit log is read.
    """
    with draft.fault("mood", mood="capture-in-parts", parts=2, after_s=APART_S):
        small = draft.top_up(draft.account())
        draft.quiet()
    with draft.fault("mood", mood="settle-more", percent=150):
        large, left = (draft.top_up(draft.account(), amount_minor=LARGE_MINOR) for _ in range(2))
        draft.quiet()
    draft.compare()
    with draft.fault("mood", mood="delay"):
        draft.advance(APART_S)
        with draft.together():
            draft.correct(small, by="operator")
            draft.correct(small, by="operator")
    draft.quiet()
    for top_up in (large, left):
        draft.correct(top_up, by="operator")
        draft.approve(top_up, by="operator")
    with draft.together():
        draft.approve(large, by="second")
        draft.approve(large, by="second")
    draft.compare()
    draft.audit()
