from harness.scenario import Draft, scenario


@scenario("same-key-same-answer", "reversed-once")
def restored_from_backup(draft: Draft) -> None:
    """The database is lost, and restored to how it was before customers paid and money went back. A customer asks again under a
    key from before, and the provider tells everything once more, also what the backup knows.
    """
    kept = draft.paid(parts=1)
    account = draft.account()
    waiting = [draft.top_up(account, method="redirect", key="again", amount_minor=2500)]
    waiting += draft.top_ups(2, method="redirect")
    with draft.fault("restore"):
        for top_up in waiting:
            draft.pay(top_up)
        draft.give_back(kept)
        draft.quiet()
    draft.top_up(account, method="redirect", key="again", amount_minor=2500)
    draft.tell_again()
    draft.quiet()
    for top_up in (kept, *waiting):
        draft.status(top_up)
