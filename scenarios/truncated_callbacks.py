from harness.scenario import Draft, scenario


@scenario()
def truncated_callbacks(draft: Draft) -> None:
    """Every attempt to deliver breaks off in the middle of the body, until the provider gives up: only asking helps."""
    with draft.fault("mood", mood="truncate", percent=70):
        draft.top_ups(2)
        draft.play_out()
