from harness.scenario import Draft, scenario


@scenario("reversed-once")
def other_minor_units(draft: Draft) -> None:
    """People pay in dinars, which have three minor digits, and get a part of their yen back, which have none."""
    dinars, yen = draft.paid("KWD", parts=1), draft.paid("JPY", parts=1)
    draft.give_back(yen)
    draft.give_back(dinars)
    draft.quiet()
    draft.status(dinars)
    draft.status(yen)
