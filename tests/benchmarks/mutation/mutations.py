"""A sample of the mutations that Cosmic Ray knows of the files named, as JSON: how many there are, and of each that was drawn
the file, the operator, the line and the whole mutated text.

Runs in Cosmic Ray's own environment: `mutations.py SEED COUNT FILE...`. Annotations are left alone, since nothing runs
differently for them.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import parso  # first: Cosmic Ray's operators import its parts in a circle
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

assert parso.__version__


def annotated(node: object) -> bool:
    """Whether a node is part of a type: `int | None` is no arithmetic."""
    while node is not None:
        parent = getattr(node, "parent", None)
        kind = getattr(parent, "type", "")
        if kind in ("annassign", "tfpdef") and node is not parent.children[0]:
            return kind == "tfpdef" or "=" not in [str(each) for each in parent.children[: parent.children.index(node)]]
        if kind == "funcdef" and parent.annotation is node:
            return True
        node = parent
    return False


def positions(path: Path) -> Iterator[tuple[str, str, int, int]]:
    """File, operator, its how-manieth occurrence, line."""
    nodes = list(ast_nodes(get_ast(path.read_text(encoding="utf-8"))))
    for name in sorted(operator_names()):
        made = get_operator(name)
        if made.arguments():
            continue
        operator, occurrence = made(), 0
        for node in nodes:
            for (line, _), _ in operator.mutation_positions(node):
                if not annotated(node):
                    yield str(path), name, occurrence, line
                occurrence += 1


def main() -> None:
    seed, count, *names = sys.argv[1:]
    there_are = [each for name in names for each in positions(Path(name))]
    drawn = Random(int(seed)).sample(there_are, min(int(count), len(there_are)))
    texts = {name: Path(name).read_text(encoding="utf-8") for name in names}
    mutated = [
        {
            "file": file,
            "operator": name.removeprefix("core/"),
            "line": line,
            "text": mutate_code(texts[file], get_operator(name)(), nth),
        }
        for file, name, nth, line in drawn
    ]
    json.dump({"there_are": len(there_are), "drawn": mutated}, sys.stdout)


if __name__ == "__main__":
    main()
