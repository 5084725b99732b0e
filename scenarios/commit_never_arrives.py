from harness.scenario import Draft, scenario


@scenario()
def commit_never_arrives(draft: Draft) -> None:
    """The connection to the database is cut just before the COMMIT of a callback's transaction: upstream, it never happened."""
    waiting = draft.top_up(draft.account(), method="redirect")
    with draft.fault("cut-at", link="db", label="COMMIT", writes=True, point="before", since="hook POST"):
        draft.pay(waiting)
        draft.quiet()
