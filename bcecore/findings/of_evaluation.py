"""Everything that the rules have to say about one evaluation of a run, and on which texts nothing may be chosen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bcecore.errors import RunError
from bcecore.findings import collect
from bcecore.findings.averaging import Scored, averaging_of_evaluations
from bcecore.findings.finding import Finding, by_severity
from bcecore.findings.future_leak import architecture_of, future_leak
from bcecore.findings.metric_contains_regulariser import Figure, metric_contains_regulariser
from bcecore.findings.non_finite import non_finite_texts
from bcecore.findings.overlap import find_overlap, overlap
from bcecore.findings.sample_size import too_small
from bcecore.findings.scored_twice import scored_twice
from bcecore.findings.split_reuse import split_reuse
from bcecore.findings.too_good import too_good_measured
from bcecore.store.acknowledged import Acknowledgement, read, without_accepted
from bcecore.store.evaluations import EvaluationRecord, EvaluationStore, SplitSpec
from bcecore.store.runs import RunStore

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LookedOver:
    """What is noticed about an evaluation, by what it limits."""

    model: tuple[Finding, ...] = ()
    """About the model, whatever it is measured on."""
    splits: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    """About one text each, by its name."""

    @property
    def findings(self) -> list[Finding]:
        """All of them, the most serious first."""
        return by_severity([*self.model, *(finding for found in self.splits.values() for finding in found)])

    def against_choosing(self, split: str, accepted: Sequence[Acknowledgement] = ()) -> Finding | None:
        """What forbids to say on this text which checkpoint to keep, if anything does that nobody has accepted.

        A loss that is no number on some checkpoint does not: the choice leaves that one out, and says so.
        """
        found = without_accepted([*self.model, *self.splits.get(split, ())], accepted)
        return next((finding for finding in found if finding.blocks and finding.id != "non-finite"), None)


def of_evaluation(store: RunStore, key: str) -> list[Finding]:
    """What is noticed about an evaluation, the most serious first. Raises RunError where it cannot be read."""
    return look_over(store, key).findings


def accepted_about(store: RunStore, key: str) -> list[Acknowledgement]:
    """What somebody has accepted about an evaluation, or about the run that it is of."""
    directories = EvaluationStore(store).directory(key), store.directory(key.partition("/")[0])
    return [each for directory in directories for each in read(directory)]


def look_over(store: RunStore, key: str) -> LookedOver:
    """The same, by what it limits; nothing before something was measured. Raises RunError where it cannot be read."""
    evaluations = EvaluationStore(store)
    record, result = evaluations.record(key), evaluations.result(key)
    if record.request is None or result is None:
        return LookedOver()
    config = store.config(record.run_id)
    rows = evaluations.examples(key, columns=["checkpoint", "split", "tokens", "nll"]).to_pandas()
    probe, random = collect.leak_probe(store, record.run_id), collect.random_tokens(store, record.run_id)
    model = [
        *future_leak(record.run_id, probe, architecture_of(config), random),
        *_scored_twice(key, result, rows),
    ]
    train = _training_lines(store, record.run_id)
    reuses = config.data.validation == "first_rows_of_training"
    splits = {}
    for split in record.request.splits:
        figures = _figures(result, split.name)
        if not figures:
            continue
        texts = collect.lines(evaluations.directory(key) / split.file)
        found = [
            *_of_texts(key, train, texts, re_used=reuses and split.kind == "own"),
            *_of_figures(key, split.name, figures, rows[rows["split"] == split.name], whole=result.get("complete")),
            *_beside_others(evaluations, record, split, result),
        ]
        several = len(record.request.splits) > 1
        splits[split.name] = tuple(
            by_severity(_naming(finding, split.name) if several else finding for finding in found)
        )
    return LookedOver(tuple(by_severity(model)), splits)


def _training_lines(store: RunStore, run_id: str) -> list[str] | None:
    """None where they are gone: what else there is to say does not depend on them."""
    try:
        return collect.lines(store.directory(run_id) / "data" / "train.jsonl")
    except RunError:
        return None


def _figures(result: Mapping[str, Any], split: str) -> dict[int, Mapping[str, Any]]:
    """What was measured on a split, by the step of the checkpoint."""
    found = result["splits"].get(split, {"checkpoints": {}})["checkpoints"]
    return {int(step): figures for step, figures in found.items()}


def _naming(finding: Finding, split: str) -> Finding:
    """With the text's name in it, where there are several and the rule does not name it."""
    if f"“{split}”" in finding.sentence:
        return finding
    return finding.model_copy(update={"sentence": f"“{split}”: {finding.sentence}"})


def _scored_twice(key: str, result: Mapping[str, Any], rows: pd.DataFrame) -> list[Finding]:
    """On and off of an evaluation are always one checkpoint; with a weight that is not 0 they can look like two."""
    weighted = [
        (split, step)
        for split in result["splits"]
        for step, figures in _figures(result, split).items()
        if figures.get("weight")
    ]
    if not weighted:
        return []
    split, step = weighted[-1]
    here = rows[(rows["split"] == split) & (rows["checkpoint"] == step)]
    ce = [value for value in here["nll"] / here["tokens"] if math.isfinite(value)]
    # A note: the page sets on and off apart itself, and says beside them what they cannot say.
    return scored_twice(key, ce, ce, f"“{split}”", severity="N")


def _of_texts(key: str, train: Sequence[str] | None, texts: Sequence[str], *, re_used: bool) -> Iterator[Finding]:
    """What the texts are worth for checking a model that learnt from `train`; None where nobody knows from what."""
    again = split_reuse(key, train or [], texts, re_used_by_setting=re_used)
    yield from again
    if train is None:
        return
    found = find_overlap(train, texts)
    known = [] if again else overlap(key, found)  # what is re-used row by row overlaps, of course
    yield from known
    if not any(finding.blocks for finding in (*again, *known)):
        yield from too_small(key, len(found.clean))


def _of_figures(
    key: str, split: str, figures: Mapping[int, Mapping[str, Any]], rows: pd.DataFrame, *, whole: bool | None
) -> Iterator[Finding]:
    known = {step: float(each["ce"]) for step, each in figures.items() if each.get("ce") is not None}
    if known:
        best = min(known, key=lambda step: known[step])
        yield from too_good_measured(key, known[best], f"“{split}” (step {best:,})")
    for step, each in figures.items():
        here = rows[rows["checkpoint"] == step]
        broken = int((~here["nll"].map(math.isfinite)).sum())
        yield from non_finite_texts(key, f"“{split}”", step, broken, len(here))
        if broken or not whole or not len(here):
            continue
        ce = float(here["nll"].sum() / here["tokens"].sum())
        labelled = [("eval_loss", each.get("ce")), ("perplexity", each.get("perplexity"))]
        yield from metric_contains_regulariser(
            key, [Figure(label, float(value), ce) for label, value in labelled if value is not None]
        )


def _beside_others(
    evaluations: EvaluationStore, record: EvaluationRecord, split: SplitSpec, result: Mapping[str, Any]
) -> Iterator[Finding]:
    """Against earlier evaluations of the same weights on the same texts, made with batches of another size."""
    assert record.request is not None
    for other in evaluations.records(record.run_id):
        if other.key == record.key or other.request is None or other.created >= record.created:
            continue
        if other.request.batch_tokens == record.request.batch_tokens:
            continue
        same = next((each for each in other.request.splits if _is_same(each, split)), None)
        there = None if same is None else evaluations.result(other.key)
        if same is None or there is None:
            continue
        earlier = _figures(there, same.name)
        for step, figures in _figures(result, split.name).items():
            if step in earlier and _same_weights(figures, earlier[step]):
                yield from averaging_of_evaluations(
                    record.key,
                    split.name,
                    _scored(record, figures, result),
                    _scored(other, earlier[step], there),
                )


def _is_same(first: SplitSpec, second: SplitSpec) -> bool:
    alike = ("sha256", "long_texts", "block_size", "stride", "template", "labels")
    return all(getattr(first, name) == getattr(second, name) for name in alike)


def _same_weights(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return first.get("weights_sha256") is not None and first["weights_sha256"] == second.get("weights_sha256")


def _scored(record: EvaluationRecord, figures: Mapping[str, Any], result: Mapping[str, Any]) -> Scored:
    assert record.request is not None
    settings = result["settings"]
    exact = settings.get("precision") == "fp32" and settings.get("dtype") == "float32"
    ce = figures.get("ce")
    return Scored(record.name, record.request.batch_tokens, math.nan if ce is None else float(ce), exact)
