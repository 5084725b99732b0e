"""The source beside the receiver: signatures that are compared in a way that takes as long as they fit.

What a difference in time gives away is hard to see from outside and easy to see in the source. A signature is known by its
name (`signature`, `sig`, `sign`, `mac`, `hmac`), so one that is called otherwise is not seen. Python is read as Python; of other
languages a line is looked at, so that what is told of them is a place to look, and not a proof.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.finding import Rule

RULE = Rule(
    id="source/compared-with-equals",
    what="A signature is compared with == (or !=, or in), which stops at the first letter that differs.",
    correct="it is compared in constant time: hmac.compare_digest, crypto.timingSafeEqual, hash_equals, subtle.ConstantTimeCompare",
    cwe=(208,),
    numbers=("B-42",),
    seen=("https://www.svix.com/blog/securely-verifying-signature-hashes/",),
)
NAME = re.compile(r"signature|hmac|(?:^|_)(?:sig|sign|mac)(?:$|_)", re.IGNORECASE)
NO_SIGNATURE = re.compile(r"type|version|algorithm|method|header|name|len|count|size|scheme|prefix", re.IGNORECASE)
OTHERS = (".js", ".mjs", ".cjs", ".ts", ".php", ".rb", ".go", ".java", ".kt", ".cs")
WORD = r"[\w.$>\[\]'\"()-]*(?:[sS]ignature|hmac|\bsig\b|\bmac\b)[\w.$>\[\]'\"()-]*"
LINE = re.compile(rf"(?:{WORD}\s*[!=]==?\s*([^\s;)&|]+))|(?:([^\s;(&|]+)\s*[!=]==?\s*{WORD})")
NOTHING = re.compile(r"^(?:null|nil|undefined|None|''|\"\"|\d+|true|false|['\"][\w.:-]*['\"])$")
FILE_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a signature is compared so; `sure` where the source was read and not only looked at."""

    path: Path
    line: int
    text: str
    sure: bool


def places(sources: Sequence[Path]) -> Iterator[Place]:
    """In these files, and in the folders below. Raises `OSError` for what cannot be read."""
    for source in sources:
        for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if not path.is_file() or any(part in ("node_modules", ".venv", ".git") for part in path.parts):
                continue
            if path.suffix == ".py":
                yield from _in_python(path)
            elif path.suffix in OTHERS and path.stat().st_size <= FILE_MAX:
                yield from _in_another(path)


def _in_python(path: Path) -> Iterator[Place]:
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    lines = text.splitlines()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        pairs = zip(node.ops, sides, sides[1:], strict=False)
        if any(
            isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) and _compared(one, two) for op, one, two in pairs
        ):
            yield Place(path, node.lineno, lines[node.lineno - 1].strip()[:120], sure=True)


def _compared(one: ast.expr, two: ast.expr) -> bool:
    """Whether one of them is a signature, and neither a constant: that a signature is empty is no secret."""
    if isinstance(one, ast.Constant) or isinstance(two, ast.Constant):
        return False
    return any(_is_signature(each) for each in (one, two))


def _is_signature(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return bool(NAME.search(name)) and not NO_SIGNATURE.search(name)
        case ast.Call(func=function):
            return "hmac" in ast.unparse(node).lower() or _is_signature(function)
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return bool(NAME.search(name)) and not NO_SIGNATURE.search(name)
    return False


def _in_another(path: Path) -> Iterator[Place]:
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        code = line.strip()
        found = LINE.search(code)
        if found is None or code.startswith(("//", "*", "#", "/*")) or NO_SIGNATURE.search(found[0]):
            continue
        if not NOTHING.match((found[1] or found[2] or "").strip()):
            yield Place(path, number, code[:120], sure=False)
