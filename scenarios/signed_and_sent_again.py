from harness.scenario import Draft, scenario


@scenario("access-is-kept")
def signed_and_sent_again(draft: Draft) -> None:
    """A program signs its requests; somebody on the way overhears them, and sends them again to the byte.

    Once at once, and once when the service was killed and has come up again: which requests there were is not to be forgotten.
    """
    account = draft.account()
    with draft.asking_as("signer"):
        top_up = draft.top_up(account)
        look = draft.status(top_up)
    draft.send_again(look)
    with draft.fault("kill", node="service"):
        draft.top_up(draft.account())
    for overheard in (top_up, look):
        draft.send_again(overheard)
    draft.quiet()
