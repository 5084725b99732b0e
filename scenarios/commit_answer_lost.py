from harness.scenario import Draft, scenario


@scenario()
def commit_answer_lost(draft: Draft) -> None:
    """A callback's transaction is committed, and the database's answer is lost: downstream, it happened and nobody heard."""
    waiting = draft.top_up(draft.account(), method="redirect")
    with draft.fault("cut-at", link="db", label="COMMIT", writes=True, point="after", since="hook POST"):
        draft.pay(waiting)
        draft.quiet()
