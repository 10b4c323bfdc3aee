"""Findings that somebody has accepted, with the reason: `acknowledged.json` in the folder of what they are about, which
is a run, an evaluation or a study.

Nothing blocks a person for good: an accepted finding stands in nobody's way any more, and every report states it with
its reason. The acceptance belongs to what the finding said. It is shown again (`Acknowledgement.covers`) when it is
more serious than it was, when it is about another subject, or when what it says is materially more:

- a number in it is more than twice, or less than half, of what it was, has another sign, or is no number any more;
- a list in it is more than twice, or less than half, as long, or names something that it did not name;
- anything else in it is not what it was.

Where something is (`step`, and what ends in `_step`) is no amount, and a run that goes on changes it all the time: it
does not count. Seeds are names, and have to be the same.

What is accepted before a study is launched was said of its plan. It holds for the same rule about any of its runs,
unless that is more serious, a number that both have is more than twice or less than half, or it names settings that
were not named then.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import filelock
from pydantic import BaseModel, ConfigDict, ValidationError

from bcecore.errors import RunError
from bcecore.files import read_json, write_json
from bcecore.store.record import now

ACKNOWLEDGED_FILE = "acknowledged.json"
MAX_REASON_CHARACTERS = 1_000
_LOCK = "acknowledged.lock"
_LOCK_SECONDS = 10.0
_VERSION = 1
_MATERIAL = 2.0
_GRAVITY = "NWB"
_NAMES = frozenset({"seed", "seeds"})
# The settings in which twins differ, by name.
_SETTINGS = "differ"

Severity = Literal["B", "W", "N"]


class Noticed(Protocol):
    """A finding, as far as it matters here (`findings.finding.Finding` is one)."""

    @property
    def id(self) -> str: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def subject(self) -> str: ...
    @property
    def sentence(self) -> str: ...
    @property
    def numbers(self) -> dict[str, Any]: ...


_Said = TypeVar("_Said", bound=Noticed)


class Acknowledgement(BaseModel):
    """One finding that was accepted, as it was then."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    """The rule."""
    subject: str
    severity: Severity
    sentence: str
    numbers: dict[str, Any] = {}
    reason: str
    when: datetime
    of_plan: bool = False
    """Whether it was accepted of a study's plan, before there were runs."""

    def covers(self, finding: Noticed) -> bool:
        """Whether a finding is the one that was accepted, and has not become materially more."""
        if finding.id != self.id or _GRAVITY.index(finding.severity) > _GRAVITY.index(self.severity):
            return False
        numbers = _plain(finding.numbers)
        if self.of_plan:
            return _is_of_the_plan(self.numbers, numbers)
        return finding.subject == self.subject and _is_much_the_same(self.numbers, numbers)


# -- reading and writing


def read(directory: Path) -> tuple[Acknowledgement, ...]:
    """What was accepted about the subject of this folder, the oldest first. What cannot be read is left out: a damaged
    file only makes findings show again.
    """
    try:
        content = read_json(directory / ACKNOWLEDGED_FILE)
        entries = content["accepted"]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return tuple(_readable(entries if isinstance(entries, list) else ()))


def _readable(entries: Iterable[Any]) -> Iterator[Acknowledgement]:
    for entry in entries:
        try:
            yield Acknowledgement.model_validate(entry)
        except ValidationError:
            continue


def acknowledge(directory: Path, finding: Noticed, reason: str, *, of_plan: bool = False) -> Acknowledgement:
    """Accept a finding about the subject of this folder; what was said of it before is replaced.

    Raises RunError for a reason that is none or too long, or if somebody else does not finish; DiskFullError, OSError.
    """
    accepted = accepted_now(finding, reason, of_plan=of_plan)
    with _locked(directory):
        others = [each for each in read(directory) if not (each.covers(finding) or _is_an_older(each, accepted))]
        _write(directory, [*others, accepted])
    return accepted


def accepted_now(finding: Noticed, reason: str, *, of_plan: bool = False) -> Acknowledgement:
    """The acceptance of a finding at this moment. Raises RunError for a reason that is none or too long."""
    return Acknowledgement(
        id=finding.id,
        subject=finding.subject,
        severity=finding.severity,
        sentence=finding.sentence,
        numbers=_plain(finding.numbers),
        reason=checked_reason(reason),
        when=now(),
        of_plan=of_plan,
    )


def withdraw(directory: Path, which: Acknowledgement | str) -> int:
    """Take back an acceptance, or all of a rule; returns how many findings that were. Raises as `acknowledge` does."""
    with _locked(directory):
        before = read(directory)
        left = [each for each in before if each != which and each.id != which]
        if len(left) < len(before):
            _write(directory, left)
    return len(before) - len(left)


def acknowledgement_of(finding: Noticed, accepted: Iterable[Acknowledgement]) -> Acknowledgement | None:
    """The acceptance that covers a finding, the latest one; None where it stands."""
    covering = [each for each in accepted if each.covers(finding)]
    return covering[-1] if covering else None


def without_accepted(findings: Iterable[_Said], accepted: Sequence[Acknowledgement]) -> list[_Said]:
    """The findings that nobody has accepted, in the order given."""
    return [finding for finding in findings if acknowledgement_of(finding, accepted) is None]


def checked_reason(reason: str) -> str:
    """A reason as it is kept, in one line. Raises RunError where there is none or it is too long."""
    cleaned = " ".join(reason.split())
    if not any(character.isalnum() for character in cleaned):
        raise RunError("Say why this can be accepted: the report states the reason.", field="reason")
    if len(cleaned) > MAX_REASON_CHARACTERS:
        raise RunError(
            f"A reason has at most {MAX_REASON_CHARACTERS:,} characters, this one {len(cleaned):,}. Say it shorter.",
            field="reason",
        )
    return cleaned


def _is_an_older(other: Acknowledgement, accepted: Acknowledgement) -> bool:
    """Whether an acceptance is of the same finding, which has become more since."""
    return (other.id, other.subject, other.of_plan) == (accepted.id, accepted.subject, accepted.of_plan) and all(
        other.numbers.get(key) == accepted.numbers.get(key) for key in _which(other.numbers, accepted.numbers)
    )


def _which(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """What tells one finding of a rule from another about the same subject: seeds, and everything that has a name."""
    return {key for key in before.keys() | after.keys() if key in _NAMES or isinstance(before.get(key), str)}


def _write(directory: Path, accepted: Iterable[Acknowledgement]) -> None:
    content = [each.model_dump(mode="json") for each in accepted]
    write_json(directory / ACKNOWLEDGED_FILE, {"version": _VERSION, "accepted": content})


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    try:
        with filelock.FileLock(directory / _LOCK, timeout=_LOCK_SECONDS):
            yield
    except filelock.Timeout:
        raise RunError(
            f"What was accepted in {directory} is being changed by another process that does not finish. Try again."
        ) from None


# -- what is materially more


def _plain(value: Any) -> Any:
    """What JSON makes of a value: a number that is not finite is None, a key is a text."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    return value


def _is_much_the_same(before: Any, after: Any, key: str = "") -> bool:
    """`key`: the name under which both stand."""
    match before, after:
        case (bool(), _) | (_, bool()) | (None, _) | (_, None) | (str(), _) | (_, str()):
            return type(before) is type(after) and before == after
        case ((int() | float()), (int() | float())):
            return key == "step" or key.endswith("_step") or _is_about_as_much(before, after, exactly=key in _NAMES)
        case dict(), dict():
            return before.keys() == after.keys() and all(
                _is_much_the_same(before[name], after[name], str(name)) for name in before
            )
        case list(), list():
            if len(before) == len(after) and not key.endswith("steps"):
                return all(_is_much_the_same(*items, key) for items in zip(before, after, strict=True))
            named = [{item for item in items if isinstance(item, str)} for items in (before, after)]
            return key not in _NAMES and named[1] <= named[0] and _is_about_as_much(len(before), len(after))
    return False


def _is_about_as_much(before: float, after: float, *, exactly: bool = False) -> bool:
    if before == after:
        return True
    if exactly or before == 0 or after == 0 or (before > 0) != (after > 0):
        return False
    low, high = sorted((abs(before), abs(after)))
    return high <= _MATERIAL * low


def _is_of_the_plan(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    if _SETTINGS in before and not set(after.get(_SETTINGS, ("anything else",))) <= set(before[_SETTINGS]):
        return False
    amounts = [key for key in before if _is_amount(before[key]) and _is_amount(after.get(key)) and key not in _NAMES]
    return all(_is_much_the_same(before[key], after[key], key) for key in amounts)


def _is_amount(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
