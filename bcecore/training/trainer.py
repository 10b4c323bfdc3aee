"""BCETrainer: Hugging Face's Trainer with the BCE term in the loss and honest numbers in the log.

With BCE off it is the plain Trainer, bit for bit. The objective CE + w·R exists in training only; in evaluation the
loss is CE, so that `eval_loss`, the choice of the best checkpoint and every tool that reads it get the honest number.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DistributedType
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel, Trainer
from transformers.trainer_utils import EvalLoopOutput

from bcecore.config import BCEConfig
from bcecore.errors import NonFiniteError
from bcecore.training.overhead import less_overhead
from bcecore.training.regularizer import COMPONENTS, Regularizer, pool
from bcecore.training.twins import TwinWatch

GRAD_RATIO_EVERY = 50
# What a pass through the loss adds to.
_GATHERED = ("twin", "regularizer", "_interval", "_hidden", "_step_examples")
_COMPONENT_KEYS = tuple(f"bce_{name}" for name in COMPONENTS)


@dataclass(frozen=True)
class _Part:
    """What one micro-batch contributed, still on the device: nothing here waits for it."""

    ce: torch.Tensor
    tokens: torch.Tensor
    term: torch.Tensor | None = None
    r: torch.Tensor | None = None
    components: torch.Tensor | None = None
    """(examples, 9), before the division by the examples of the step"""
    share: float = 0.0
    """One over the examples of the step"""


class _Interval:
    """The steps since the last log record."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.steps = 0
        self.weight = 0.0
        self.parts: list[_Part] = []


class _Evaluation:
    """Token-weighted sums over an evaluation pass, in float64."""

    def __init__(self, device: torch.device) -> None:
        self.tokens = torch.zeros((), device=device, dtype=torch.int64)
        self.ce = torch.zeros((), device=device, dtype=torch.float64 if device.type != "mps" else torch.float32)
        self.bce = torch.zeros_like(self.ce)


class BCETrainer(Trainer):
    """A Trainer whose training loss is CE + w(t)·R; see the module's docstring.

    `bce` holds the schedule and the regulariser's settings. The model has to be prepared by `models.prepare_model`.
    """

    model: PreTrainedModel

    def __init__(self, model: PreTrainedModel, *args: Any, bce: BCEConfig, **kwargs: Any) -> None:
        super().__init__(model, *args, **kwargs)
        self.bce = bce
        self.regularizer = Regularizer(bce) if bce.enabled else None
        self.twin = TwinWatch()
        # The loss that leaves `compute_loss` is always that of the whole optimizer step's share.
        self.loss_is_scaled_for_ga = True
        self._interval = _Interval()
        self._evaluation: _Evaluation | None = None
        self._hidden: torch.Tensor | None = None
        self._step_examples = 0
        self._step_states: list[torch.Tensor] = []
        self._step_ce: torch.Tensor | None = None
        self._bce_gradient: list[torch.Tensor | None] | None = None
        self._grad_ratio: float | None = None
        self._tokens_seen = 0
        self._trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._flops_per_token = 6 * model.num_parameters(exclude_embeddings=True)
        if self.regularizer is not None:
            # The last hidden layer, taken as it passes: asking the model for all hidden states would keep them all.
            model.base_model.register_forward_hook(self._take_hidden)

    # -- the loss

    def _take_hidden(self, _module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        self._hidden = output[0]

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """The batches of one optimizer step; also counts their examples, which R is a mean over."""
        batches, items = super().get_batch_samples(*args, **kwargs)
        self._step_examples = sum(len(batch["input_ids"]) for batch in batches)
        return batches, items

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """In training this micro-batch's share of CE + w·R of the optimizer step; in evaluation its mean CE."""
        if not model.training:
            return self._evaluation_loss(model, inputs, return_outputs, num_items_in_batch)
        self.twin.take(self.state.global_step + 1, inputs)
        ce, outputs = super().compute_loss(model, inputs, return_outputs=True, num_items_in_batch=num_items_in_batch)
        if not self.model_accepts_loss_kwargs or num_items_in_batch is None:
            ce = ce / self.current_gradient_accumulation_steps
        if num_items_in_batch is None or self.args.gradient_accumulation_steps > 1:
            tokens = inputs["attention_mask"].sum()
        else:
            # All tokens but the first of each text are scored: the same number, without counting again.
            tokens = num_items_in_batch + self._step_examples
        loss = ce
        if self.regularizer is None:
            self._interval.parts.append(_Part(ce.detach(), tokens))
        else:
            loss = self._add_bce(self.regularizer, ce, tokens, inputs["attention_mask"])
        return (loss, outputs) if return_outputs else loss

    def _add_bce(
        self, regularizer: Regularizer, ce: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        assert self._hidden is not None
        detached = ce.detach()
        self._step_ce = detached if self._step_ce is None else self._step_ce + detached
        with torch.set_grad_enabled(regularizer.has_gradient):
            pooled = pool(self._hidden, mask)
        self._hidden = None
        self._step_states.append(pooled.detach())
        output = regularizer(pooled)
        # R is the mean over all examples of the step, so that a short last micro-batch counts for its examples only.
        share = 1 / self._step_examples
        r = output.loss.sum() * share
        weight = self.bce.weight(self.state.global_step + 1)
        # At weight 0 it is CE itself, not CE + 0·R, whose gradient is nan where R's is.
        term = r * weight if weight else None
        self._interval.parts.append(
            _Part(
                detached,
                tokens,
                None if term is None else term.detach(),
                r.detach(),
                output.components.detach(),
                share,
            )
        )
        if term is None:
            return ce
        if self._measures_ratio():
            self._take_bce_gradient(term)
        return ce + term

    def _measures_ratio(self) -> bool:
        """Whether the present step is one at which BCE's gradient is measured: the first and every 50th."""
        step = self.state.global_step + 1
        return step == 1 or step % GRAD_RATIO_EVERY == 0

    def _take_bce_gradient(self, term: torch.Tensor) -> None:
        """Add ∇(w·R) of this micro-batch to that of the step; the weights' own gradients are not touched."""
        if not term.requires_grad:
            self._bce_gradient = []
            return
        found = torch.autograd.grad(term, self._trainable, retain_graph=True, allow_unused=True)
        if self._bce_gradient:
            before = self._bce_gradient
            found = tuple(b if a is None else a if b is None else a + b for a, b in zip(before, found, strict=True))
        self._bce_gradient = list(found)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """One micro-batch; after the last one of an optimizer step, measures BCE's gradient and updates the memory."""
        self.twin.before_batch(self.state.global_step, self.model, self.args.device)
        loss = super().training_step(*args, **kwargs)
        if self.accelerator.sync_gradients:
            self._interval.steps += 1
            self._interval.weight += self.bce.weight(self.state.global_step + 1)
            if self.regularizer is not None:
                if self._measures_ratio():
                    self._grad_ratio = self._ratio()
                assert self._step_ce is not None
                states = self._step_states
                self.regularizer.update(states[0] if len(states) == 1 else torch.cat(states), self._step_ce)
                self._step_states, self._step_ce, self._bce_gradient = [], None, None
        return loss

    @torch.no_grad()
    def _ratio(self) -> float:
        """‖∇(w·R)‖ / ‖∇CE‖ of the whole step, before clipping; 0 when nothing of R reaches the weights."""
        if self._bce_gradient is None:  # the weight is 0
            return 0.0
        if not self._bce_gradient:
            self.twin.take_gradient(0.0)
            return 0.0
        scaler = self.accelerator.scaler
        scale = 1.0 if scaler is None else scaler.get_scale()
        bce, ce = [], []
        for parameter, gradient in zip(self._trainable, self._bce_gradient, strict=True):
            if parameter.grad is None:
                continue
            whole = parameter.grad if scale == 1 else parameter.grad / scale
            if gradient is None:
                ce.append(whole)
            else:
                bce.append(gradient)
                ce.append(whole - gradient)
        norm_ce, norm_bce = torch.nn.utils.get_total_norm(ce), torch.nn.utils.get_total_norm(bce)
        self.twin.take_gradient(float(norm_bce))
        return float(norm_bce / norm_ce) if norm_ce > 0 else math.inf

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is computed within is CE alone and leaves no trace in what the trainer gathers, nor in BCE's memory."""
        kept = {name: getattr(self, name) for name in _GATHERED}
        self.twin, self.regularizer, self._interval = TwinWatch(), None, _Interval()
        try:
            yield
        finally:
            for name, value in kept.items():
                setattr(self, name, value)

    # -- the log

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Complete a training record with the values gathered since the last one, and pass it on as one record.

        Raises NonFiniteError, after the record is written, when the loss or the gradient is not finite.
        """
        if "loss" not in logs:
            super().log(logs, start_time)
            return
        last_step = self.state.global_step
        steps = self._interval.steps
        logs.update(self._interval_values())
        self._interval = _Interval()
        super().log(logs, start_time)
        self._refuse_non_finite(logs, last_step, steps)

    def _interval_values(self) -> dict[str, float]:
        interval = self._interval
        steps = max(interval.steps, 1)
        seconds = max(time.perf_counter() - interval.started, 1e-9)
        tokens = sum(int(part.tokens) for part in interval.parts)
        self._tokens_seen += tokens
        ce = sum(float(part.ce) for part in interval.parts) / steps
        term = sum(float(part.term) for part in interval.parts if part.term is not None) / steps
        values = {"ce": ce, "bce_weight": interval.weight / steps, "bce_term": term, "bce_share": _share(ce, term)}
        if self.regularizer is not None:
            values["bce_loss"] = sum(float(part.r) for part in interval.parts if part.r is not None) / steps
            rows = [
                [value * part.share for value in row]
                for part in interval.parts
                for row in (part.components.tolist() if part.components is not None else ())
            ]
            sums = rows[0] if len(rows) == 1 else map(sum, zip(*rows, strict=True))
            values.update(zip(_COMPONENT_KEYS, (total / steps for total in sums), strict=True))
            if self.regularizer.memory.count >= 2:
                values["bce_spread"], values["bce_cosine_distance"] = self.regularizer.memory.dispersion()
            if self._grad_ratio is not None:
                values["bce_grad_ratio"] = self._grad_ratio
                self._grad_ratio = None
        values["tokens"] = self._tokens_seen
        values["tokens_per_second"] = tokens / seconds
        values["steps_per_second"] = interval.steps / seconds
        return values

    def _refuse_non_finite(self, logs: dict[str, float], step: int, steps: int) -> None:
        # With fp16, a gradient that is not finite makes the scaler skip the step; that is how it finds its scale.
        skipped = self.accelerator.optimizer_step_was_skipped
        wrong = [
            name
            for key, name in (("loss", "loss"), ("grad_norm", "gradient"))
            if not math.isfinite(logs.get(key, 0.0)) and not (key == "grad_norm" and skipped)
        ]
        if wrong:
            raise NonFiniteError(_non_finite_message(wrong[0], step, steps))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save a checkpoint, but never one of weights that are already spoilt."""
        if not math.isfinite(self._tr_loss):
            raise NonFiniteError(_non_finite_message("loss", self.state.global_step, self._interval.steps))
        super()._save_checkpoint(model, trial)

    # -- evaluation

    def _evaluation_loss(self, model: Any, inputs: Any, return_outputs: bool, num_items_in_batch: Any) -> Any:
        """The batch's mean CE, as the plain Trainer has it; collects the sums that `evaluation_loop` needs."""
        ce, outputs = super().compute_loss(model, inputs, return_outputs=True, num_items_in_batch=num_items_in_batch)
        evaluation = self._evaluation
        if evaluation is not None:
            counts = (inputs["labels"][:, 1:] != -100).sum(dim=1)  # the first token of a text is only read
            tokens = counts.sum()
            evaluation.tokens += tokens
            evaluation.ce += ce.detach().to(evaluation.ce.dtype) * tokens
            if self.regularizer is not None and self._hidden is not None:
                r = self.regularizer(pool(self._hidden, inputs["attention_mask"])).loss
                evaluation.bce += (r.to(evaluation.bce.dtype) * counts).sum()
        self._hidden = None
        return (ce, outputs) if return_outputs else ce

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """The stock loop with `eval_loss` rewritten as CE a token: the stock one averages the means of batches.

        Adds perplexity = exp(CE), and with BCE on `bce_loss` (each text's R weighted by its tokens) and
        `objective` = CE + w·R with the weight of the present step; the regulariser's memory is used, not changed.
        """
        self._evaluation = evaluation = _Evaluation(self.args.device)
        try:
            output = super().evaluation_loop(*args, **kwargs)
        finally:
            self._evaluation = None
        tokens = int(evaluation.tokens)
        if tokens and output.metrics is not None:
            prefix = kwargs.get("metric_key_prefix", "eval")
            ce = float(evaluation.ce) / tokens
            values = {"loss": ce, "perplexity": math.exp(ce) if ce < 700 else math.inf}
            if self.regularizer is not None:
                values["bce_loss"] = float(evaluation.bce) / tokens
                weight = self.bce.weight(max(self.state.global_step, 1))
                values["objective"] = ce + weight * values["bce_loss"]
            output.metrics.update((f"{prefix}_{name}", value) for name, value in values.items())
        return output

    # -- checkpoints

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            self.twin.save(Path(output_dir), self.args.device)
            if self.regularizer is not None:
                self.regularizer.memory.save(Path(output_dir))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        self._take_rate_of_this_schedule()
        self.twin.load(Path(checkpoint))
        if self.regularizer is not None:
            self.regularizer.memory.load(Path(checkpoint), self.args.device)
        seen = [record["tokens"] for record in self.state.log_history if "tokens" in record]
        self._tokens_seen = int(seen[-1]) if seen else 0

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """One pass over the text. The stock one takes a step too many when resumed from the checkpoint of the last."""
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
        else:
            super()._run_epoch(*args, **kwargs)

    def _take_rate_of_this_schedule(self) -> None:
        """Begin with the learning rate that the present schedule has here.

        The loaded optimizer holds the rate of the schedule under which it was saved: 0 at the end of a run that is
        trained further. Where the schedule is the same, so is the rate, bit for bit.
        """
        scheduler = self.lr_scheduler
        if not isinstance(scheduler, LambdaLR):
            return
        rates = [
            base * factor(scheduler.last_epoch)
            for base, factor in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
        ]
        for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        scheduler._last_lr = rates

    # -- less overhead, the same weights

    def _inner_training_loop(self, *args: Any, **kwargs: Any) -> Any:
        self._interval = _Interval()
        with less_overhead(self.model):
            return super()._inner_training_loop(*args, **kwargs)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """As the Trainer counts them, without counting the model's parameters at every step."""
        return int(self._flops_per_token * inputs["input_ids"].numel())

    def _clip_grad_norm(self, model: Any) -> Any:
        if self.accelerator.scaler is not None or self.accelerator.distributed_type != DistributedType.NO:
            return super()._clip_grad_norm(model)
        return torch.nn.utils.clip_grad_norm_(self._trainable, self.args.max_grad_norm)


def _share(ce: float, term: float) -> float:
    """|w·R| over CE + |w·R|: how much of the logged loss is the regulariser's own term."""
    whole = ce + abs(term)
    return abs(term) / whole if whole > 0 else 0.0


def _non_finite_message(what: str, step: int, steps: int) -> str:
    when = f"at step {step:,}" if steps <= 1 else f"between steps {step - steps + 1:,} and {step:,}"
    return (
        f"The {what} stopped being a finite number {when}, so training was ended. The checkpoints saved before are "
        "good. Try a lower learning rate, a longer warm-up, or gradient clipping."
    )
