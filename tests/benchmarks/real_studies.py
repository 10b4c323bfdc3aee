"""Whether studies of real runs say what is true: `python -m bcecore bench studies`. Prints JSON; takes some minutes.

Three questions with known answers, on runs of the product's own, launched, measured and judged as studies:

- Equal arms: a pool of runs without BCE, each with a seed of its own, is paired at random into studies whose arms are
  of one kind. Whoever wins there wins by mistake.
- A placebo: every run of the pool has a twin with BCE's seed profile, whose weight is above zero and whose gradient is
  zero. The verdict is that BCE changed nothing, by the weights, until a single weight of one twin is another.
- Planted effects: a regulariser that is known to do harm, and a learning rate that is known to be better.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from bcecore.evaluation.statistics import differences, estimate
from bcecore.evaluation.study.collecting import documents_of
from bcecore.evaluation.study.creating import create
from bcecore.evaluation.study.drafting import Draft, HeldOut, arm_of, known_arm, with_held_out
from bcecore.evaluation.study.progress import progress
from bcecore.evaluation.study.verdicts import outcome_of, take_due_looks
from bcecore.evaluation.verdict import Evidence, verdict
from bcecore.recipes import load_recipe
from bcecore.settings import with_values
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyPlan, StudyStore, cell
from tests.benchmarks.protocol import MOST_FALSE
from tests.benchmarks.wikitext import wikitext
from tests.benchmarks.world import World

COMPARISONS = 200
SEEDS_OF_POOL = 24
SEEDS = 5
STEPS = 120
TRAINING_DOCUMENTS, HELD_OUT_DOCUMENTS = 700, 150
STUCK_SECONDS = 3600.0

# A weight so large that CE hardly counts, and a learning rate that a run this short can make better use of.
HARM = "harm:profile=active,base_weight=30,target_weight=30,max_weight=0,warmup_steps=1"
BETTER = "better:learning_rate=0.003"


def run(rounds: int | None = None) -> dict[str, Any]:
    """Train the runs and judge them, with `rounds` comparisons of equal arms; returns what the command prints."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, World(Path(scratch) / "runs", slots=2) as world:
        base, held_out = settings(Path(scratch))
        pool = studied(world, Draft("pool", base, _arms("off", "seed"), *_seeds(SEEDS_OF_POOL), (held_out,)))
        planted = Draft("planted", base, (known_arm("off"), arm_of(HARM), arm_of(BETTER, planted=True)), *_seeds(SEEDS))
        effects = studied(world, Draft(**{**vars(planted), "held_out": (held_out,)}))
        result = {
            "bench": "studies",
            "steps_of_a_run": STEPS,
            "held_out_documents": pool.splits[0].rows,
            "equal_arms": equal_arms(world.store, pool, rounds or COMPARISONS),
            "placebo": placebo(world.store, pool, Path(scratch)),
            "planted": planted_effects(world.store, effects),
        }
        result["seconds"] = round(time.monotonic() - began)
        world.close()
    result["within_budget"] = all(result[part]["as_it_should_be"] for part in ("equal_arms", "placebo", "planted"))
    return result


def _arms(*names: str) -> tuple[Any, ...]:
    return tuple(known_arm(name) for name in names)


def _seeds(number: int) -> tuple[tuple[int, ...], tuple[int]]:
    return tuple(range(1, number + 1)), (number,)


def settings(scratch: Path) -> tuple[Any, HeldOut]:
    """The quick look's small model on articles of WikiText-2, and documents of other articles to measure on."""
    train, held_out = wikitext(scratch, TRAINING_DOCUMENTS, HELD_OUT_DOCUMENTS)
    base = with_values(
        load_recipe("quick-look").config,
        {
            "data.train_file": str(train),
            "training.max_steps": STEPS,
            "training.warmup_steps": 10,
            "bce.warmup_steps": 30,
            "logging.eval_steps": STEPS,
            "logging.save_steps": STEPS,
        },
    )
    return with_held_out(base, held_out), HeldOut("other articles", held_out)


def studied(world: World, draft: Draft) -> StudyPlan:
    """A study of real runs, all of them trained and measured."""
    plan = create(world.store, draft)

    def is_measured() -> bool:
        time.sleep(1)
        return bool(progress(world.store, plan.id).due)

    world.wait(is_measured, f"the study {draft.name}", STUCK_SECONDS)
    return plan


def equal_arms(store: RunStore, pool: StudyPlan, comparisons: int) -> dict[str, Any]:
    """Studies in which both arms are runs without BCE, each run in one of them once."""
    state = StudyStore(store).state(pool.id)
    frames = {seed: documents_of(store, pool, state, "off", seed, pool.primary) for seed in pool.seeds}
    rng = np.random.default_rng(0)
    kinds: Counter[str] = Counter()
    excluding_zero = 0
    for _ in range(comparisons):
        drawn = rng.permutation(pool.seeds)[: 2 * SEEDS]
        twins = {number: (frames[first], frames[second]) for number, (first, second) in enumerate(drawn.reshape(-1, 2))}
        found = verdict(Evidence(estimate(differences(twins))))
        kinds[found.kind] += 1
        excluding_zero += found.low > 0 or found.high < 0
    winners = sum(count for kind, count in kinds.items() if kind.startswith(("better", "worse")))
    return {
        "runs": len(frames),
        "comparisons": comparisons,
        "seeds_of_each": SEEDS,
        "verdicts": dict(kinds),
        "false_winners": winners,
        "rate": winners / comparisons,
        "intervals_that_exclude_zero": excluding_zero / comparisons,
        "budget": MOST_FALSE,
        "as_it_should_be": winners / comparisons <= MOST_FALSE,
    }


def placebo(store: RunStore, pool: StudyPlan, scratch: Path) -> dict[str, Any]:
    """The seed profile against off at every seed; then once more after one weight of one twin was changed."""
    before = take_due_looks(store, pool.id)
    honest = outcome_of(before.looks[0]).comparisons[0]
    _forget_looks(store, pool.id)
    path = store.directory(before.runs[cell("seed", pool.seeds[0])]) / "model" / "model.safetensors"
    kept = scratch / "kept.safetensors"
    shutil.copy(path, kept)
    weights = load_file(path)
    first = next(iter(weights.values())).reshape(-1)
    first[0] += 1
    save_file(weights, path, metadata={"format": "pt"})
    tampered = outcome_of(take_due_looks(store, pool.id).looks[0]).comparisons[0]
    shutil.copy(kept, path)
    return {
        "twins": len(pool.seeds),
        "verdict": honest.verdict.headline,
        "largest_gradient": honest.gradient.largest if honest.gradient else None,
        "with_one_weight_changed": tampered.verdict.headline,
        "as_it_should_be": honest.verdict.kind == "nothing-changed" and tampered.verdict.kind != "nothing-changed",
    }


def _forget_looks(store: RunStore, study_id: str) -> None:
    """No study does this: here the same runs are judged twice, once as they are and once with a change."""
    StudyStore(store).update(study_id, lambda _: {"looks": ()})


def planted_effects(store: RunStore, plan: StudyPlan) -> dict[str, Any]:
    """The arm that does harm has to lose against off, and the better learning rate to win."""
    look = take_due_looks(store, plan.id).looks[0]
    verdicts = {found.arm: found.verdict for found in outcome_of(look).comparisons}
    return {
        "verdicts": {arm: found.headline for arm, found in verdicts.items()},
        "differences": {arm: found.value for arm, found in verdicts.items()},
        "as_it_should_be": (verdicts["harm"].kind, verdicts["better"].kind) == ("worse", "better"),
    }
