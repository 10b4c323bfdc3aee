"""Everything that the rules have to say about a run before it is launched: about its text, and about its settings.

Pure: the text is read and cut into tokens by whoever asks. In three parts, because a form asks at every keystroke:
`compare` takes a second for a hundred thousand lines and depends on the lines alone, `of_text` on the settings of the
model and the text, and `of_settings` is quick and depends on all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bcecore.config import RunConfig
from bcecore.findings.cut_lines import cut_lines
from bcecore.findings.disk_room import disk_room
from bcecore.findings.duplicates import Duplicates, duplicates, find_duplicates
from bcecore.findings.finding import Finding, Fix, by_severity
from bcecore.findings.future_leak import architecture_of, future_leak
from bcecore.findings.inert_profile import inert_profile
from bcecore.findings.overlap import Overlap, find_overlap, overlap
from bcecore.findings.remedy import SET_ASIDE, with_remedy
from bcecore.findings.sample_size import FEW_DOCUMENTS, too_small
from bcecore.findings.split_reuse import split_reuse
from bcecore.findings.unknown_tokens import unknown_tokens
from bcecore.findings.weight_schedule import boost_unfinished, weight_zero
from bcecore.text.prepare import PreparedText
from bcecore.text.tokenizing import Encoded, unknown_id

if TYPE_CHECKING:
    import tokenizers

SUBJECT = "this run"
_MOST_SET_ASIDE = 0.25
"""No fix takes more of the text away from training than this."""
_WILL_NOT_COUNT = "As it stands, no result of this run will count."


@dataclass(frozen=True)
class Compared:
    """What the lines of a run have in common."""

    overlap: Overlap
    duplicates: Duplicates


class Space(Protocol):
    """Bytes on the disk, as `jobs.estimate` has them."""

    @property
    def free(self) -> int: ...
    @property
    def keep_free(self) -> float: ...
    @property
    def checkpoint(self) -> int: ...
    @property
    def model(self) -> int: ...


class Checked(Protocol):
    """A configuration that was checked, as `jobs.submit` has it: its text is read and cut into tokens."""

    @property
    def config(self) -> RunConfig: ...
    @property
    def text(self) -> PreparedText: ...
    @property
    def tokenizer(self) -> tokenizers.Tokenizer: ...
    @property
    def train(self) -> Encoded: ...
    @property
    def validation(self) -> Encoded: ...
    @property
    def longest_possible(self) -> int | None: ...


def compare(text: PreparedText) -> Compared:
    """Look for lines of a run that are the same, or nearly."""
    return Compared(find_overlap(text.train, text.validation), find_duplicates(text.train))


def of_text(checked: Checked, compared: Compared) -> list[Finding]:
    """What is noticed about the text of a run; of its settings only those of the model and the text count."""
    config, text = checked.config, checked.text
    reused = config.data.validation == "first_rows_of_training"
    found = split_reuse(SUBJECT, text.train, text.validation, re_used_by_setting=reused)
    # A split that is training text as a whole overlaps with it, too, and has no clean text: said once.
    found = found or overlap(SUBJECT, compared.overlap)
    if not any(finding.blocks for finding in found):
        found += _little_text(config, text, len(compared.overlap.clean))
    found += duplicates(SUBJECT, compared.duplicates)
    train, held_out = checked.train, checked.validation
    found += cut_lines(SUBJECT, train, held_out, config.data.block_size, checked.longest_possible)
    found += unknown_tokens(SUBJECT, config, train.ids, held_out.ids, unknown_id(checked.tokenizer))
    return [with_remedy(finding, config) for finding in found]


def of_settings(config: RunConfig, total_steps: int, space: Space | None = None) -> list[Finding]:
    """What is noticed about the settings of a run of so many steps, and about the room for it where that is known."""
    found = [
        *future_leak(SUBJECT, None, architecture_of(config)),
        *weight_zero(SUBJECT, config.bce, total_steps),
        *inert_profile(SUBJECT, config.bce),
        *boost_unfinished(SUBJECT, config.bce, total_steps),
    ]
    if space is not None:
        found += disk_room(
            SUBJECT,
            config.logging,
            total_steps,
            free_bytes=space.free,
            keep_free_bytes=space.keep_free,
            checkpoint_bytes=space.checkpoint,
            model_bytes=space.model,
        )
    return [with_remedy(finding, config) for finding in found]


def together(found: Iterable[Finding]) -> list[Finding]:
    """The most serious first; of those that block a verdict it is said what that means."""
    return [
        finding.model_copy(update={"what_to_do": f"{_WILL_NOT_COUNT} {finding.what_to_do}"})
        if finding.blocks
        else finding
        for finding in by_severity(found)
    ]


def _little_text(config: RunConfig, text: PreparedText, clean: int) -> Sequence[Finding]:
    data = config.data
    if data.validation == "none":
        return [_unchecked()]
    found = too_small(SUBJECT, clean, concludes=False)
    if not found or data.validation == "file":
        return [finding.model_copy(update={"field": "data.validation"}) for finding in found]
    lines = text.lines_read - sum(text.dropped.values())
    share = math.ceil(100 * (FEW_DOCUMENTS + len(text.validation) - clean) / lines) / 100
    changes: dict[str, float | None] = {}
    if share > data.validation_fraction:
        changes["data.validation_fraction"] = share
    if data.max_validation_examples is not None:
        changes["data.max_validation_examples"] = None
    fix = Fix(label=f"Set {max(share, data.validation_fraction):.0%} of the lines aside", changes=changes)
    possible = share <= max(_MOST_SET_ASIDE, data.validation_fraction)
    update = {"field": "data.validation_fraction", "fix": fix if possible and changes else None}
    return [finding.model_copy(update=update) for finding in found]


def _unchecked() -> Finding:
    """About a run that is not checked at all, which is a choice and no mistake."""
    return Finding(
        id="too-small",
        severity="N",
        subject=SUBJECT,
        numbers={"documents": 0, "advised": FEW_DOCUMENTS},
        sentence="Nothing checks the model: whether it learnt or learnt by heart cannot be told afterwards.",
        what_to_do="Set a share of the lines aside to check it on.",
        field="data.validation",
        fix=SET_ASIDE,
    )
