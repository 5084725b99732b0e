from harness.scenario import Draft, scenario


@scenario("reversed-once")
def rolled_out_and_back(draft: Draft) -> None:
    """A later version runs beside this one and migrates the database: first callbacks come to the one and clients to the other,
    then the other way round. Then it is rolled back, and this version goes on with a schema that it does not know.
    """
    waiting = draft.top_ups(2, method="redirect")
    kept = draft.paid(parts=2)
    for top_up, link in zip(waiting, ("hook", "edge"), strict=True):
        with draft.fault("roll-out", link=link):
            draft.pay(top_up)
            draft.top_up(draft.account())
            draft.give_back(kept)
            draft.quiet()
    for top_up in (kept, *waiting):
        draft.status(top_up)
