"""What the words of a report's columns and rows mean: which quantity, which text, BCE on or off. Pure.

The words are English; a label that is the name of a logged key means that key.
"""

from __future__ import annotations

import re
from collections.abc import Collection

STEP = "step"
CHANGE = "change"
_SIGNS = re.compile(r"[^a-z0-9Δ%×]+")


def plain_words(text: str) -> str:
    """Lower case, and one space for everything that is neither letter nor digit, with one at either end."""
    return f" {_SIGNS.sub(' ', text.replace('’s', '').casefold().replace('δ', 'Δ')).strip()} "


def _has(words: str, *any_of: str) -> bool:
    return any(f" {one} " in words for one in any_of)


def quantity(label: str, keys: Collection[str] = (), *, of_a_check: bool = False) -> str | None:
    """The key under which what a label names is logged; None for words that name nothing known.

    `keys` are those of the log; `of_a_check`: whether the label stands in a part of the report about checks, so that a
    loss is that of a check. `step`, `perplexity` and `change` (a difference or a percentage) are no keys of a training
    log.
    """
    bare = label.strip().strip("`*").casefold().replace(" ", "_")
    if of_a_check and f"eval_{bare}" in keys:
        return f"eval_{bare}"
    if bare in keys and bare not in ("loss", "ce"):
        return bare
    whole = plain_words(label)
    found = _named(plain_words(re.sub(r"\([^)]*\)", " ", label)))
    if found in (None, CHANGE, STEP, "epoch", "learning_rate", "grad_norm"):
        return found
    if _has(whole, "train") and f"train_{found}" in keys:
        return f"train_{found}"
    if not (of_a_check or _of_a_check(whole)):
        return found
    if found in ("loss", "ce"):
        return "eval_loss"
    if f"eval_{found}" in keys or found in ("samples_per_second", "steps_per_second", "runtime"):
        return f"eval_{found}"
    return found if found in ("perplexity", "objective") else None


def _of_a_check(words: str) -> bool:
    return _has(words, "eval", "evaluation", "validation", "val", "held out", "check", "checks", "checking", "test")


def is_of_a_check(context: str) -> bool:
    """Whether a heading says that what is below it was measured on text for checking."""
    return _of_a_check(plain_words(context)) or " logged as eval" in plain_words(context)


def _named(words: str) -> str | None:
    if "Δ" in words or _has(words, "delta", "difference", "change", "vs"):
        return CHANGE
    if _has(words, "samples per second", "examples per second", "samples s", "examples s", "lines per second"):
        return "samples_per_second"
    if _has(words, "tokens per second", "tokens s"):
        return "tokens_per_second"
    if _has(words, "steps per second", "batches per second", "steps s", "throughput", "pace", "it s"):
        return "steps_per_second"
    if _has(words, "runtime", "wall clock", "wall time", "duration", "time for a check", "elapsed"):
        return "runtime"
    if _has(words, "perplexity", "ppl"):
        return "perplexity"
    if _has(words, "grad", "gradient") and _has(words, "norm", "norms"):
        return "grad_norm"
    if _has(words, "grad", "gradient"):
        return None
    if _has(words, "learning rate", "lr"):
        return "learning_rate"
    if _has(words, "bce"):
        if _has(words, "term"):
            return "bce_term"
        if _has(words, "weight", "weights", "w", "eff"):
            return "bce_weight"
        return "bce_loss" if _has(words, "loss") and not _has(words, "share", "total") else None
    if _has(words, "objective", "total loss", "mean total"):
        return "objective"
    if _has(words, "ce", "cross entropy", "nll"):
        return "ce"
    if _has(words, "loss", "losses"):
        return "loss"
    if _has(words, "epoch"):
        return "epoch"
    if words.strip() in ("step", "steps", "global step", "optimizer step"):
        return STEP
    return None


def fact(label: str) -> str | None:
    """Which fact of a run a row of a table is about; None for a row that is about something else.

    The whole label has to be one of the known ones: `Logging steps` are not the steps of a run.
    """
    words = plain_words(re.sub(r"\([^)]*\)", " ", label)).strip()
    return next((name for name, labels in _FACTS.items() if words in labels), None)


_FACTS: dict[str, frozenset[str]] = {
    "batch_size": frozenset({"batch size", "train batch size", "training batch size", "per device batch size"}),
    "block_size": frozenset({"block size", "longest example", "max length", "maximum length", "sequence length"}),
    "epochs": frozenset({"epochs", "num epochs", "number of epochs", "num train epochs", "training epochs"}),
    "learning_rate": frozenset({"learning rate", "lr", "peak learning rate", "peak lr", "learning rate schedule"}),
    "bce_weight": frozenset({"bce weight", "bce weight schedule", "bce effective weight", "bce eff w"}),
    "wall_clock": frozenset({"wall clock", "wall clock time", "runtime", "train runtime", "training time", "duration"}),
    "steps_per_second": frozenset({"throughput", "pace", "steps per second", "steps s", "train steps per second"}),
    "final_loss": frozenset({"final train loss", "final training loss", "train loss", "training loss", "final loss"}),
    "last_ce": frozenset({"last ce", "final ce"}),
    "held_out": frozenset({"held out ce", "ce on checking text", "final validation loss", "final eval loss"}),
    "parameters": frozenset({"parameters", "number of parameters", "weights"}),
    "seed": frozenset({"seed", "random seed"}),
    "warmup_steps": frozenset({"warmup steps", "warm up steps", "warmup", "warm up"}),
    "steps": frozenset({"steps", "optimizer steps", "total steps", "max steps", "training steps", "number of steps"}),
    "lines": frozenset({"lines", "examples", "documents"}),
}


def mode(text: str) -> str | None:
    """Whether some words mean that BCE was counted (`on`) or left out (`off`); None where they say neither."""
    words = plain_words(text)
    if _has(words, "bce off", "no bce", "without bce", "left out") or words == " off ":
        return "off"
    if _has(words, "bce on", "with bce", "counted") or words == " on ":
        return "on"
    return None


def _tokens(text: str) -> list[str]:
    return re.findall(r"[a-z]+|\d+", text.casefold())


def split_named(text: str, splits: Collection[str]) -> str | None:
    """The one of these texts that some words name: `auto validation` names `auto_val`. None where none is.

    Every word of its name begins a word of the text, in their order; numbers may be missing (`Wikitext` for
    `wikitext2`), but count where several fit.
    """
    best: tuple[int, int, str] | None = None
    spoken = _tokens(text)
    for split in splits:
        wanted = [token for token in _tokens(split) if token not in ("txt", "jsonl", "csv", "parquet", "json")]
        place, hits, missed = 0, 0, False
        for token in wanted:
            at = next((i for i in range(place, len(spoken)) if _begins(spoken[i], token)), None)
            if at is not None:
                place, hits = at + 1, hits + 1
            elif not token.isdigit():
                missed = True
        if not missed and hits and (best is None or (hits, len(split)) > best[:2]):
            best = (hits, len(split), split)
    return None if best is None else best[2]


def _begins(word: str, token: str) -> bool:
    return word == token or (not token.isdigit() and len(token) >= 3 and word.startswith(token))


_AT_STEP = re.compile(r"\bsteps?\s+(\d{1,3}(?:,\d{3})+|\d+)\b", re.IGNORECASE)


def step_named(text: str) -> int | None:
    """The step that a heading names, where it names one: `Final checkpoint snapshot (step 2000)`."""
    found = _AT_STEP.findall(text)
    return int(found[0].replace(",", "")) if len(found) == 1 else None
