"""unknown-tokens (W or N): pieces of the text that the vocabulary cannot write all become one and the same token. Pure.

The model then learns nothing of those words, and predicts the token that stands for all of them without knowing any:
its CE is too low for the text. From a hundredth of the tokens on that alone moves CE by some hundredths of a nat, more
than the 0.01 that count as a difference: a warning. A note from a thousandth on. That the share of unknown tokens tells
how well a tokenizer suits a text: Rust et al., "How Good is Your Tokenizer?", ACL 2021. (BERT's own vocabulary has none
on the sample, the report's texts and WikiText-2.)

A vocabulary that is learnt here has all of the training text, and of a small one some of the checking text is always
missing: 9 of 637 tokens in a split of the report's 200 lines, up to 2 in a thousand in splits of the sample. It suits
the text as well as any: a note from a hundredth on.
"""

from __future__ import annotations

from collections.abc import Sequence

from bcecore.config import AUTO_TOKENIZER, RunConfig
from bcecore.findings.finding import Finding, Fix

NOTED = 0.001
WARNED = 0.01


def unknown_tokens(
    subject: str,
    config: RunConfig,
    train: Sequence[Sequence[int]],
    held_out: Sequence[Sequence[int]],
    unknown: int | None,
) -> list[Finding]:
    """The finding about a tokenizer on a text, if there is one: the worse of its two sides counts.

    `train` and `held_out` are the ids of the tokens of each line; `unknown` is the one that stands for what the
    vocabulary does not have (None: it has everything).
    """
    if unknown is None:
        return []
    sides = {"training": _share(train, unknown), "checking": _share(held_out, unknown)}
    name = max(sides, key=lambda side: sides[side])
    share = sides[name]
    own, built_here = config.model.tokenizer == AUTO_TOKENIZER, config.model.kind == "offline"
    learnt, can_be_learnt = built_here and own, built_here and not own
    if share < (WARNED if learnt else NOTED):
        return []
    if can_be_learnt:
        what_to_do = "Let a vocabulary be learnt from this text."
    elif learnt:
        what_to_do = "Its vocabulary comes from the training text: learn from more text, or check on text of its kind."
    else:
        what_to_do = "Choose a model that was made for this language, or remove what it cannot read."
    return [
        Finding(
            id="unknown-tokens",
            severity="W" if share >= WARNED and not learnt else "N",
            subject=subject,
            numbers={"share": share, "training": sides["training"], "checking": sides["checking"]},
            sentence=(
                f"The tokenizer does not know {share:.1%} of the {name} text: the model sees one and the same "
                "“unknown” token for all of it, and looks better than it is."
            ),
            what_to_do=what_to_do,
            field="model.source" if own else "model.tokenizer",
            fix=Fix(label="Learn a vocabulary from this text", changes={"model.tokenizer": AUTO_TOKENIZER})
            if can_be_learnt
            else None,
        )
    ]


def _share(lines: Sequence[Sequence[int]], unknown: int) -> float:
    tokens = sum(map(len, lines))
    return sum(line.count(unknown) for line in lines) / tokens if tokens else 0.0
