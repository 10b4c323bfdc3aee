"""The results of a study's runs, document by document, from their evaluations; only what may be compared comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bcecore.evaluation.comparable import NotComparable, SideOfComparison, must_be_comparable
from bcecore.evaluation.statistics import Cells, differences
from bcecore.store.evaluations import EvaluationStore, SplitSpec
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyPlan, StudyState, cell

if TYPE_CHECKING:
    import pandas as pd


def documents_of(
    store: RunStore, plan: StudyPlan, state: StudyState, arm: str, seed: int, split: SplitSpec
) -> pd.DataFrame:
    """What one run's evaluation says of the clean documents of a split: example, tokens, bytes, nll; by example.

    Raises NotComparable for an evaluation that is not finished, or was made on other texts, in other windows or at
    another step than the plan has it; RunError where it cannot be read.
    """
    evaluations = EvaluationStore(store)
    name = cell(arm, seed)
    key = state.evaluations.get(name)
    if key is None:
        raise NotComparable(f"The run {name} is not measured. Resume the study.")
    record = evaluations.record(key)
    result = evaluations.result(key) or {}
    if record.status != "finished" or record.request is None:
        raise NotComparable(f"The evaluation {key} is {record.status}, not finished. Resume the study.")
    found = next((each for each in record.request.splits if each.name == split.name), None)
    if found is None:
        raise NotComparable(f"The evaluation {key} was not made on “{split.name}”. Delete it and resume the study.")
    # The tokenizer is checked with the numbers of tokens: twins that cut a text differently have others.
    must_be_comparable(SideOfComparison("the plan", split, ""), SideOfComparison(key, found, ""))
    if record.request.checkpoints != (plan.total_steps,) or not result.get("complete"):
        raise NotComparable(f"The evaluation {key} is not one of the end of its run. Delete it and resume the study.")
    filters = [("split", "=", split.name)]
    table = evaluations.examples(key, columns=["example", "tokens", "bytes", "nll"], filters=filters)
    frame: pd.DataFrame = table.to_pandas()
    if len(frame) != split.rows:
        raise NotComparable(
            f"The evaluation {key} holds {len(frame):,} of the {split.rows:,} documents of “{split.name}”. Delete it "
            "and resume the study."
        )
    clean = frame[~frame["example"].isin(plan.overlapping.get(split.name, ()))]
    return clean.sort_values("example", ignore_index=True)


class Collected:
    """Both arms of a comparison on one split, at all seeds of a look."""

    def __init__(
        self,
        store: RunStore,
        plan: StudyPlan,
        state: StudyState,
        arm: str,
        seeds: Sequence[int],
        split: SplitSpec,
    ) -> None:
        """Raises NotComparable, also where twins do not have the same documents with the same tokens; RunError."""
        self.twins = {
            seed: (
                documents_of(store, plan, state, plan.reference.name, seed, split),
                documents_of(store, plan, state, arm, seed, split),
            )
            for seed in seeds
        }
        self.cells: Cells = differences(self.twins)

    def ce(self, side: int) -> float:
        """Nats per token over all seeds and documents; side 0 is the reference, 1 the arm."""
        frames = [pair[side] for pair in self.twins.values()]
        return float(sum(frame["nll"].sum() for frame in frames) / sum(frame["tokens"].sum() for frame in frames))

    def ce_of_seed(self, seed: int, side: int) -> float:
        """The same for one seed."""
        frame = self.twins[seed][side]
        return float(frame["nll"].sum() / frame["tokens"].sum())

    @property
    def bits_per_byte(self) -> Cells:
        """The differences in bits, to be weighted with the bytes of the documents in place of their tokens."""
        import numpy as np

        first = next(iter(self.twins.values()))[0]
        sizes = first.set_index("example")["bytes"].loc[self.cells.documents].to_numpy(dtype=np.int64)
        return replace(self.cells, tokens=sizes, sums=self.cells.sums / np.log(2))


def has_only_finite_losses(frames: Sequence[pd.DataFrame]) -> bool:
    """Whether every document has a loss that is a number."""
    import numpy as np

    return all(bool(np.isfinite(frame["nll"].to_numpy()).all()) for frame in frames)
