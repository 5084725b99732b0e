from harness.scenario import Draft, scenario


@scenario()
def delayed_callbacks(draft: Draft) -> None:
    """Callbacks are held back until the service has found out by itself, and arrive when all is done."""
    with draft.fault("mood", mood="delay"):
        draft.top_ups(3)
        draft.reconcile()
        draft.release()
        draft.quiet()
