"""Findings that somebody answers for: a file with an owner, a reason and an end for each. Nothing is accepted for ever."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from harness.finding import Finding
from harness.gate.profile import ProfileError, explained

Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")]
FINGERPRINT = re.compile(r"^[0-9a-f]{8,64}$")
BEGINS = """\
# Findings of `topup-chaos gate` that somebody answers for. Each counts again when its time is over.
# topup-chaos gate --accept FINGERPRINT --owner NAME --reason WHY --until YYYY-MM-DD adds one.
"""


class Accepted(BaseModel):
    """A finding that does not count through the day of `until`, in UTC. `rule` and `where` are for readers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    rule: str = ""
    where: str = ""
    owner: Said
    reason: Said
    until: date

    def expired(self, today: date) -> bool:
        return today > self.until


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    accepted: list[Accepted] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is accepted, by fingerprint."""

    path: Path
    accepted: Mapping[str, Accepted]


def read_baseline(path: Path) -> Baseline:
    """Nothing is accepted where there is no file. Raises `ProfileError` naming file, entry, field and remedy."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Baseline(path, {})
    except OSError as error:
        raise ProfileError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProfileError(f"{path} is not TOML: {error}") from None
    try:
        entries = _File.model_validate(data).accepted
    except ValidationError as error:
        problems = explained(error)
        raise ProfileError(f"{path} is no baseline:\n{problems}") from None
    twice = [
        each.fingerprint
        for number, each in enumerate(entries)
        if each.fingerprint in {e.fingerprint for e in entries[:number]}
    ]
    if twice:
        raise ProfileError(f"{path}: {twice[0]} is accepted twice: leave one of them")
    return Baseline(path, {each.fingerprint: each for each in entries})


def chosen(fingerprint: str, seen: Sequence[Finding]) -> Finding:
    """The one finding whose fingerprint begins so. Raises `ProfileError` when there is none, or more than one."""
    if not FINGERPRINT.match(fingerprint):
        raise ProfileError(
            f"--accept {fingerprint}: a fingerprint is 64 hexadecimal digits, or the first 8 of them or more"
        )
    found = {each.fingerprint: each for each in seen if each.fingerprint.startswith(fingerprint)}
    if len(found) == 1:
        return next(iter(found.values()))
    known = "\n".join(f"  {each.fingerprint[:16]}  {each.rule.id}  {each.where}" for each in seen)
    if not found:
        raise ProfileError(
            f"--accept {fingerprint}: the last gate found nothing of the kind; it found\n{known or '  nothing'}"
        )
    raise ProfileError(f"--accept {fingerprint} begins {len(found)} fingerprints: give more of it")


def accept(path: Path, finding: Finding, owner: str, reason: str, until: str, today: date) -> Accepted:
    """Write an entry at the end of the file. Raises `ProfileError` naming the option that is wrong."""
    if (there := read_baseline(path).accepted.get(finding.fingerprint)) is not None:
        raise ProfileError(f"{path} has it already, until {there.until}: change its `until` there")
    try:
        entry = Accepted.model_validate(
            {
                "fingerprint": finding.fingerprint,
                "rule": finding.rule.id,
                "where": finding.where,
                "owner": owner,
                "reason": reason,
                "until": until,
            }
        )
    except ValidationError as error:
        problems = explained(error)
        raise ProfileError(f"nothing was accepted:\n{problems}") from None
    if entry.expired(today):
        raise ProfileError(f"--until {entry.until} is over: name a day to come, as YYYY-MM-DD")
    before = path.read_text(encoding="utf-8") if path.exists() else BEGINS
    lines = [f"{name} = {_quoted(value)}" for name, value in entry.model_dump(exclude={"until"}).items()]
    block = "\n".join(["", "[[accepted]]", *lines, f"until = {entry.until.isoformat()}", ""])
    path.write_text(before.rstrip("\n") + "\n" + block, encoding="utf-8")
    return entry


def _quoted(text: str) -> str:
    """As TOML has it: the same as JSON for what is printable."""
    return json.dumps("".join(letter if letter.isprintable() else "?" for letter in text), ensure_ascii=False)
