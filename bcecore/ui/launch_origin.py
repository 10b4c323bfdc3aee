"""What the form on the Launch page begins from: a recipe, or a run that was there before."""

from __future__ import annotations

from dataclasses import dataclass

from bcecore.config import RunConfig
from bcecore.jobs import derive
from bcecore.recipes import load_recipe
from bcecore.store.runs import MAX_NAME_CHARACTERS, RunStore

_AGAIN = ", again"


@dataclass(frozen=True)
class Origin:
    """Settings to begin from, and how to speak of them."""

    config: RunConfig
    title: str
    summary: str
    recipe: str | None
    """The recipe that a run from here belongs to."""
    needs_network: bool
    notes: dict[str, str]
    """`{"dotted.key": sentence}` about settings that are not what they seem."""
    run_id: str | None = None
    """The run, where it is one."""

    @property
    def kind(self) -> str:
        """The word for what it is."""
        return "recipe" if self.run_id is None else "run"

    @property
    def again(self) -> str:
        """A name for another run like the one it is."""
        return self.title[: MAX_NAME_CHARACTERS - len(_AGAIN)] + _AGAIN


def of_recipe(name: str) -> Origin:
    """The recipe as a beginning."""
    recipe = load_recipe(name)
    return Origin(recipe.config, recipe.title, recipe.summary, name, recipe.needs_network, recipe.notes)


def of_run(store: RunStore, run_id: str) -> Origin:
    """The settings of a run as a beginning. Raises RunError if they cannot be read."""
    record = store.record(run_id)
    return Origin(
        derive.clone_config(store, run_id),
        record.name,
        "Every field is as in this run; change what should be different.",
        record.recipe,
        needs_network=False,
        notes={},
        run_id=run_id,
    )
