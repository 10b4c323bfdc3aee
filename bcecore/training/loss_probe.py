"""Proving, before the first step, that the loss of a step is what it should be however its texts are put together.

A step's loss is the mean over the tokens that it predicts: then texts count alike in small and in large batches,
padding does not count at all, and accumulating gradients over several batches is the same as one large batch. All three
break easily (a collator that scores padding, a loss divided by the wrong number of tokens) and show in no curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from bcecore.training.engine import IGNORED_LABEL
from bcecore.training.trainer import BCETrainer

# A few texts of different lengths tell; short ones cost less than a step of training, in time and in memory.
_TEXTS = 3
_MOST_TOKENS = 64
_LOOKED_AT = 1000
_FEW_WEIGHTS = 100_000
# The same sums in another order differ by less than 1e-6 of the whole in single precision, measured with the recipes'
# models; the smallest known fault, one token too many in the count of every text, by 1/1024 where texts have 1,024.
_LEAST_TOLERANCE = 2e-4
_ROUNDINGS = 4


def probe_loss(trainer: BCETrainer) -> dict[str, Any]:
    """What the trainer's own batches and its own loss do with a few of its texts, BCE's term left out.

    Changes nothing: no weight, no random number, nothing of what the trainer has gathered. Dropout is off meanwhile.

    | key | what |
    |---|---|
    | lengths | tokens of the texts that were used, the shortest first |
    | tolerance | how far two figures may be apart, as a share of them; more where the model counts less exactly |
    | by_token | CE as the mean over all predicted tokens, counted here from the predictions for each text alone |
    | alone | CE of each text as a step of its own, their mean weighted by predicted tokens |
    | together | CE of one batch with all of them |
    | pads | places of that batch that hold no token |
    | scored_pads | labels of that batch that no text alone has |
    | micro_batches | over how many the gradient was accumulated; None where the run does not do that |
    | accumulated | how far that gradient is from the one of the whole batch, as a share of it; None likewise |

    A figure that is not finite is None.
    """
    examples = _chosen(trainer)
    model = trainer.model
    was_training = model.training
    devices = [trainer.args.device] if trainer.args.device.type == "cuda" else []
    with torch.random.fork_rng(devices), trainer.aside():
        model.eval()
        # The trainer takes its training loss by this flag; the layers, dropout among them, look at their own.
        model.training = True
        try:
            return _probed(trainer, examples)
        finally:
            model.train(was_training)


def _chosen(trainer: BCETrainer) -> list[Any]:
    """Texts of lengths as different as they are among the short ones, the shortest first.

    Padded they hold no more than a step of the run does, so that they fit wherever it fits.
    """
    texts: Any = trainer.train_dataset
    looked_at = [texts[place] for place in range(min(len(texts), _LOOKED_AT))]
    by_length = {len(example.ids): example for example in reversed(looked_at)}
    step = trainer.args.per_device_train_batch_size * max(by_length)
    longest = min(_MOST_TOKENS, step) // _TEXTS
    fitting = [by_length[length] for length in sorted(by_length) if length <= longest]
    if len(fitting) < 2:
        shortest = sorted(looked_at, key=lambda example: len(example.ids))[:2]
        # Of one length throughout, two texts are still two; one that fills a step alone is all that fits.
        return shortest if len(shortest[-1].ids) * 2 <= max(step, _MOST_TOKENS) else shortest[:1]
    places = {round(number * (len(fitting) - 1) / (_TEXTS - 1)) for number in range(_TEXTS)}
    return [fitting[place] for place in sorted(places)]


def _probed(trainer: BCETrainer, examples: Sequence[Any]) -> dict[str, Any]:
    singles = [trainer.data_collator([example]) for example in examples]
    whole = trainer.data_collator(list(examples))
    tokens = [int((single["labels"][:, 1:] != IGNORED_LABEL).sum()) for single in singles]
    with torch.no_grad():
        found = [_losses(trainer, [single])[0] for single in singles]
        together = float(_losses(trainer, [whole])[0][0])
        nll = math.fsum(
            _nll(outputs.logits, single["labels"]) for (_, outputs), single in zip(found, singles, strict=True)
        )
    alone = math.fsum(float(loss) * count for (loss, _), count in zip(found, tokens, strict=True)) / sum(tokens)
    micro_batches, accumulated = _accumulated(trainer, examples, whole)
    return {
        "lengths": [single["input_ids"].shape[1] for single in singles],
        "tolerance": max(_LEAST_TOLERANCE, _ROUNDINGS * torch.finfo(trainer.model.dtype).eps),
        "by_token": _finite(nll / sum(tokens)),
        "alone": _finite(alone),
        "together": _finite(together),
        "pads": whole["input_ids"].numel() - sum(single["input_ids"].numel() for single in singles),
        "scored_pads": _scored(whole) - sum(map(_scored, singles)),
        "micro_batches": micro_batches,
        "accumulated": accumulated,
    }


def _losses(trainer: BCETrainer, batches: Sequence[dict[str, torch.Tensor]]) -> list[tuple[torch.Tensor, Any]]:
    """What the trainer would send back through the model for a step of these batches, and the model's outputs.

    As in its training loop and its `training_step`, without their random numbers.
    """
    gathered, items = trainer.get_batch_samples(iter(batches), len(batches), trainer.args.device)
    trainer.current_gradient_accumulation_steps = len(gathered)
    found = []
    for batch in gathered:
        inputs = trainer._prepare_inputs(batch)
        with trainer.compute_loss_context_manager():
            loss, outputs = trainer.compute_loss(trainer.model, inputs, return_outputs=True, num_items_in_batch=items)
        found.append((loss if trainer.loss_is_scaled_for_ga else loss / len(gathered), outputs))
    return found


def _nll(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The summed loss of one text in nats; logits (1, T, V), labels (1, T)."""
    scores = logits[0, :-1].float()
    return float(
        torch.nn.functional.cross_entropy(
            scores, labels[0, 1:].to(scores.device), ignore_index=IGNORED_LABEL, reduction="sum"
        )
    )


def _scored(batch: dict[str, torch.Tensor]) -> int:
    return int((batch["labels"] != IGNORED_LABEL).sum())


def _accumulated(
    trainer: BCETrainer, examples: Sequence[Any], whole: dict[str, torch.Tensor]
) -> tuple[int | None, float | None]:
    """Over how many micro-batches, and how far the gradient is from that of the whole batch."""
    number = min(trainer.args.gradient_accumulation_steps, len(examples))
    if number < 2:
        return None, None
    # The last one gets what is left over: batches of different sizes, as at the end of an epoch.
    parts = [*([example] for example in examples[: number - 1]), list(examples[number - 1 :])]
    weights = _few_weights(trainer.model)
    at_once = _gradient(_losses(trainer, [whole]), weights)
    in_parts = _gradient(_losses(trainer, [trainer.data_collator(part) for part in parts]), weights)
    size = float(torch.linalg.vector_norm(at_once))
    difference = float(torch.linalg.vector_norm(in_parts - at_once))
    return number, _finite(difference / size) if size > 0 else _finite(difference)


def _few_weights(model: torch.nn.Module) -> list[torch.Tensor]:
    """The smallest trainable tensors: spread over all layers, they tell the scale of a gradient without its size."""
    trainable = sorted((each for each in model.parameters() if each.requires_grad), key=torch.numel)
    chosen: list[torch.Tensor] = [*trainable[:1]]
    total = 0
    for parameter in trainable[1:]:
        total += parameter.numel()
        if total > _FEW_WEIGHTS:
            break
        chosen.append(parameter)
    return chosen


def _gradient(losses: Sequence[tuple[torch.Tensor, Any]], weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """The gradient of the sum, flat and in single precision; the weights' own gradients are not touched."""
    sums: list[torch.Tensor] = [torch.zeros_like(weight, dtype=torch.float32) for weight in weights]
    for loss, _ in losses:
        for place, part in enumerate(torch.autograd.grad(loss, list(weights), allow_unused=True)):
            if part is not None:
                sums[place] += part.float()
    return torch.cat([each.flatten() for each in sums])


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
