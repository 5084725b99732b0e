from harness.scenario import Draft, scenario


@scenario("entries-never-change", "reversed-once")
def refunded_after_the_books_were_read(draft: Draft) -> None:
    """A part of a payment goes back and no callback tells of it: the service hears so when its books were read already."""
    refunded = draft.paid(parts=1)
    with draft.fault("mood", mood="drop"):
        draft.give_back(refunded)
        draft.quiet()
