"""nondeterminism (N): a run that was repeated with the same settings did not end the same. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bcecore.findings.finding import Finding, listed

_COMPARED = {
    "initial_weights": "the first weights",
    "data_order": "the order of the text",
    "random_start": "the random numbers at the start",
    "random_end": "the random numbers up to the end",
    "steps": "the number of steps",
    "final_weights": "the weights at the end",
}
_SAME_MACHINE = ("device", "torch", "numpy", "transformers", "tokenizers", "accelerate", "safetensors", "python")


def nondeterminism(
    subject: str,
    first: str,
    records: tuple[Mapping[str, Any], Mapping[str, Any]],
    machines: tuple[Mapping[str, str], Mapping[str, str]],
) -> list[Finding]:
    """The finding about a run (`subject`) that repeats another (`first`), if there is one.

    `records` are `facts["twin"]` of the first and of the repeat, `machines` their devices and versions
    (`collect.machine`). Fires when anything that both recorded differs and both ran on a processor (CPU), where the
    same settings give the same bits. On a graphics card they need not, so that nothing is said.
    """
    if not comparable(records, machines):
        return []
    before, after = records
    differ = [key for key in _COMPARED if key in before and key in after and before[key] != after[key]]
    if not differ:
        return []
    other = [key for key in _SAME_MACHINE if machines[0].get(key) != machines[1].get(key)]
    why = (
        f" In between, {listed(other)} changed, which can be the reason."
        if other
        else " Settings, text, device and packages were the same, so something else decides about the result as well."
    )
    return [
        Finding(
            id="nondeterminism",
            severity="N",
            subject=subject,
            numbers={
                "first": first,
                "differ": {key: [before[key], after[key]] for key in differ},
                "machine": {key: [machines[0].get(key), machines[1].get(key)] for key in other},
            },
            sentence=(
                f"It repeats run {first} with the same settings, but did not end the same: "
                f"{listed([_COMPARED[key] for key in differ])} {'is' if len(differ) == 1 else 'are'} different.{why}"
            ),
            what_to_do=(
                "Differences between runs can then be chance even with the same seed. Compare BCE on and off over "
                "several seeds only, as a study does."
            ),
        )
    ]


def comparable(
    records: tuple[Mapping[str, Any], Mapping[str, Any]], machines: tuple[Mapping[str, str], Mapping[str, str]]
) -> bool:
    """Whether both runs recorded how they ended, and ran where the same settings have to give the same bits."""
    on_cpu = all(machine.get("device") == "cpu" for machine in machines)
    return on_cpu and all(record.get("final_weights") is not None for record in records)
