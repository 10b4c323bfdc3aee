"""Which setting causes a finding, and the change of settings that removes it, for rules that know no settings. Pure.

The rules about texts and models look at texts and models, wherever they come from. Of a run's settings it can be said
what to change; a form shows the finding beside that field, with a button that does it.
"""

from __future__ import annotations

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding, Fix, counted

SET_ASIDE = Fix(label="Set lines aside instead", changes={"data.validation": "fraction", "data.validation_file": None})
"""A split in which no line is on both sides, not even as a duplicate (`text.splitting`)."""
_READ_ON = Fix(label="Make it read left to right", changes={"model.causal": True})
_TEXTS = ("split-reuse", "overlap")


def with_remedy(finding: Finding, config: RunConfig) -> Finding:
    """The finding about a run with these settings, with its field and its fix where the settings are the cause."""
    if finding.id in _TEXTS:
        # A line set aside that is nearly a training line is no matter of a setting.
        fix = None if config.data.validation == "fraction" else SET_ASIDE
        return finding.model_copy(update={"field": "data.validation", "fix": fix})
    if finding.id == "future-leak" and not config.model.causal:
        return finding.model_copy(update={"field": "model.causal", "fix": _READ_ON})
    return finding


def shorter_warm_ups(config: RunConfig, total_steps: int) -> dict[str, Fix]:
    """By its setting the fix of each warm-up that is not over before the run is, which makes the run impossible.

    A tenth of the run is what most recipes for training and fine-tuning warm up over.
    """
    warm_ups: dict[str, int] = {}
    if config.training.lr_scheduler != "constant":
        warm_ups["training.warmup_steps"] = config.training.warmup_steps
    if config.bce.enabled:
        warm_ups["bce.warmup_steps"] = config.bce.warmup_steps
    steps = total_steps // 10
    label = f"Warm up over {counted(steps, 'step')}" if steps else "Leave the warm-up out"
    return {key: Fix(label=label, changes={key: steps}) for key, value in warm_ups.items() if value >= total_steps}
