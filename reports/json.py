"""`run.json`: what `replay` takes and what other programs read. `run.schema.json` describes it."""

import json

from harness.run import Suite, to_json
from reports import renderer


@renderer(file="run.json")
def render(suite: Suite) -> str:
    """Every run without its history, indented for people."""
    return json.dumps(to_json(suite), indent=1, ensure_ascii=False, default=str) + "\n"
