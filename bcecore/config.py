"""RunConfig: every setting of a run, in one frozen model.

The form, the command line and docs/settings.md are all made from what stands here (through `settings`): each field has
a title, a sentence of help for somebody who does not write code, a unit and bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from bcecore import schedule
from bcecore.errors import ConfigError, Problem

OFFLINE_MODEL = "offline"
AUTO_TOKENIZER = "auto"
SAMPLE_TEXT = "sample"
SEED_BEHAVIOR_DIM = 8

ModelKind = Literal["offline", "hub", "local"]
ValidationMode = Literal["fraction", "file", "first_rows_of_training", "none"]
Profile = Literal["seed", "active"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


def setting(
    default: Any, title: str, help: str, *, unit: str | None = None, advanced: bool = True, **bounds: Any
) -> Any:
    """A config field. `advanced` fields stand in the form's second part; `bounds` go to pydantic (ge, gt, le, lt)."""
    extra: dict[str, Any] = {"unit": unit, "advanced": advanced}
    return Field(default, title=title, description=help, json_schema_extra=extra, validate_default=True, **bounds)


class Section(BaseModel):
    """Base of the config's parts: frozen, and an unknown key is an error rather than a silent nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        # pydantic takes true for 1, and a run with a batch size of true is a mistake.
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise PydanticCustomError("switch_for_a_number", "true and false are for switches")
        return value


def _refuse(field: str, value: object, message: str) -> PydanticCustomError:
    """An error of a model validator that names the field it is about; `settings.problems_of` reads the name back."""
    return PydanticCustomError("impossible", "{text}", {"field": field, "value": value, "text": message})


class ModelConfig(Section):
    """Which model learns, and how it reads text."""

    source: str = setting(
        OFFLINE_MODEL,
        "Model",
        "'offline' builds a small BERT-style model on this machine, with random weights. A name such as "
        "'prajjwal1/bert-tiny' is fetched from the Hugging Face Hub; a path (starting with '/', './' or '~') is a "
        "model folder on this machine.",
        advanced=False,
        min_length=1,
    )
    tokenizer: str = setting(
        AUTO_TOKENIZER,
        "Tokenizer",
        "How text is cut into pieces (tokens). 'auto' takes the model's own one, or learns a vocabulary from your "
        "training text when the model is built here. A Hub name or a folder picks another.",
        min_length=1,
    )
    causal: bool = setting(
        True,
        "Reads left to right",
        "On: when it predicts a word, the model sees only the words before it. Off, a BERT model also sees the word "
        "it has to predict, so its loss says nothing about what it learnt. Leave this on unless you repeat the report.",
        advanced=False,
    )
    dtype: Literal["float32", "bfloat16", "float16"] = setting(
        "float32",
        "Number format of the weights",
        "How the weights are stored while training. float32 is the safe choice everywhere; the 16-bit formats halve "
        "the memory and need a graphics card that supports them.",
    )
    hidden_size: int = setting(
        128,
        "Hidden size",
        "Width of the model built here. Ignored for Hub and local models.",
        unit="numbers",
        ge=8,
        le=4096,
    )
    num_hidden_layers: int = setting(
        2, "Layers", "Depth of the model built here. Ignored for Hub and local models.", unit="layers", ge=1, le=48
    )
    num_attention_heads: int = setting(
        2,
        "Attention heads",
        "Parts that the hidden size is divided into; it has to divide evenly. Ignored for Hub and local models.",
        unit="heads",
        ge=1,
        le=64,
    )
    intermediate_size: int = setting(
        512,
        "Inner size",
        "Width of the inner layers of the model built here. Ignored for Hub and local models.",
        unit="numbers",
        ge=8,
        le=16384,
    )
    max_position_embeddings: int = setting(
        512,
        "Longest text the model can hold",
        "The model built here cannot read further than this. Ignored for Hub and local models, which bring their own.",
        unit="tokens",
        ge=8,
        le=8192,
    )
    vocab_size: int = setting(
        4096,
        "Vocabulary size",
        "How many different tokens are learnt from your text when the tokenizer is 'auto' and the model is built here; "
        "a small text yields fewer.",
        unit="tokens",
        ge=64,
        le=200_000,
    )
    dropout: float = setting(
        0.1,
        "Dropout",
        "Share of the signals in the model built here that are switched off at random while learning, against "
        "learning by heart. Ignored for Hub and local models.",
        ge=0,
        lt=1,
    )

    @property
    def kind(self) -> ModelKind:
        """Where the model comes from, read from `source`."""
        return source_kind(self.source)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "offline" and self.hidden_size % self.num_attention_heads:
            raise _refuse(
                "num_attention_heads",
                self.num_attention_heads,
                f"{self.hidden_size} (hidden size) cannot be divided evenly by {self.num_attention_heads} heads. "
                "Choose a number of heads that divides it.",
            )
        return self


class DataConfig(Section):
    """Which text the model learns from, and which text checks it."""

    train_file: str = setting(
        SAMPLE_TEXT,
        "Training text",
        "The file the model learns from: .txt (one example a line), .jsonl, .csv or .parquet. 'sample' is a small "
        "Turkish-English text that comes with the program.",
        advanced=False,
        min_length=1,
    )
    column: str = setting(
        "text",
        "Text column",
        "Name of the column (or JSON key) that holds the text. Ignored for .txt files.",
        min_length=1,
    )
    validation: ValidationMode = setting(
        "fraction",
        "Text to check against",
        "fraction: set a share of the lines aside, never trained on. file: use another file. first_rows_of_training: "
        "re-use training lines, as the report did - it measures memory, not learning. none: do not check.",
        advanced=False,
    )
    validation_fraction: float = setting(
        0.1,
        "Share set aside",
        "Share of the lines that are kept for checking and never trained on.",
        gt=0,
        le=0.5,
        advanced=False,
    )
    validation_file: str | None = setting(
        None, "Checking text", "The file to check against, when 'Text to check against' is 'file'.", advanced=False
    )
    validation_rows: int = setting(
        2,
        "Training lines re-used for checking",
        "How many of the first training lines are checked, when 'Text to check against' is 'first_rows_of_training'.",
        unit="lines",
        ge=1,
    )
    split_seed: int = setting(
        0, "Split seed", "Another number sets other lines aside; the same number always the same ones.", ge=0
    )
    block_size: int = setting(
        128,
        "Longest example",
        "Longer lines are cut after this many tokens. Longer examples need more time and memory.",
        unit="tokens",
        ge=2,
        le=8192,
        advanced=False,
    )
    max_train_examples: int | None = setting(
        None,
        "Use at most this many training lines",
        "Empty: all of them. Otherwise the first ones.",
        unit="lines",
        ge=1,
    )
    max_validation_examples: int | None = setting(
        None,
        "Use at most this many checking lines",
        "Empty: all of them. Otherwise the first ones.",
        unit="lines",
        ge=1,
    )
    min_characters: int = setting(
        1, "Shortest line kept", "Lines with fewer characters are left out, and counted.", unit="characters", ge=1
    )
    max_repeated_share: float = setting(
        1.0,
        "Most repetition allowed",
        "Lines in which one character makes up more than this share are left out, and counted. 1 keeps all.",
        gt=0,
        le=1,
    )
    max_symbol_share: float = setting(
        1.0,
        "Most symbols allowed",
        "Lines in which characters other than letters, digits and spaces make up more than this share are left out, "
        "and counted. 1 keeps all.",
        ge=0,
        le=1,
    )

    @property
    def holds_out(self) -> bool:
        """Whether the checking text is another than the training text, so that its CE tells learning from memory."""
        return self.validation in ("fraction", "file")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.validation == "file" and not self.validation_file:
            raise _refuse(
                "validation_file", self.validation_file, "is needed when validation is 'file'. Name the file."
            )
        if self.validation != "file" and self.validation_file:
            raise _refuse(
                "validation_file",
                self.validation_file,
                f"is given, but validation is '{self.validation}'. Set validation to 'file', or leave the file out.",
            )
        return self


class TrainingConfig(Section):
    """How long and how fast the model learns."""

    epochs: float = setting(
        3.0,
        "Passes over the text (epochs)",
        "How many times the model reads the whole training text.",
        unit="epochs",
        gt=0,
        le=10_000,
        advanced=False,
    )
    max_steps: int | None = setting(
        None,
        "Stop after this many steps",
        "If set, it decides the length instead of the passes.",
        unit="steps",
        ge=1,
        advanced=False,
    )
    batch_size: int = setting(
        4,
        "Examples at a time (batch size)",
        "How many lines are read at once. More is faster and needs more memory.",
        unit="lines",
        ge=1,
        le=4096,
        advanced=False,
    )
    gradient_accumulation_steps: int = setting(
        1,
        "Batches per step (accumulation)",
        "The weights change once after this many batches: a large batch on a machine that only holds small ones.",
        unit="batches",
        ge=1,
        le=4096,
    )
    learning_rate: float = setting(
        5e-5,
        "Learning speed (learning rate)",
        "How far the weights move at a step. Too high and the loss jumps or becomes infinite, too low and nothing "
        "happens. 5e-5 suits a trained model, 1e-3 a small one that starts from nothing.",
        gt=0,
        le=10,
        advanced=False,
    )
    lr_scheduler: schedule.LearningRateSchedule = setting(
        "linear", "Learning-speed curve (scheduler)", "How the learning speed falls after its warm-up."
    )
    warmup_steps: int = setting(
        0,
        "Learning-speed warm-up",
        "Steps over which the learning speed rises from 0 to its full value.",
        unit="steps",
        ge=0,
        advanced=False,
    )
    weight_decay: float = setting(
        0.0,
        "Weight decay",
        "A gentle pull of all weights towards 0 at every step, against learning by heart.",
        ge=0,
        le=1,
    )
    max_grad_norm: float = setting(
        1.0, "Gradient clipping", "Larger changes are shortened to this length. 0 switches clipping off.", ge=0, le=1e6
    )
    optimizer: Literal["adamw_torch_fused", "adamw_torch", "adafactor", "sgd"] = setting(
        "adamw_torch_fused",
        "Optimiser",
        "The rule that turns gradients into changes. AdamW suits nearly everything; its fused form is the same rule in "
        "one pass, and faster.",
    )
    seed: int = setting(
        42,
        "Seed",
        "Decides all that is random: first weights, order of the text, dropout.",
        ge=0,
        le=2**32 - 1,
        advanced=False,
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "fp32",
        "Arithmetic (precision)",
        "fp32 is exact and works everywhere. bf16 and fp16 are faster on graphics cards that support them; 'auto' "
        "takes bf16 there and fp32 elsewhere.",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = setting(
        "auto",
        "Device",
        "Where the arithmetic runs: 'cuda' is an NVIDIA card, 'mps' an Apple one; 'auto' takes the fastest there is.",
    )


class BCEConfig(Section):
    """The BCE regulariser (Behavioral Consciousness Engine, not binary cross-entropy) and its weight over the run."""

    enabled: bool = setting(
        True, "Use BCE", "Off means that its weight is 0 at every step: ordinary training, bit for bit.", advanced=False
    )
    profile: Profile = setting(
        "active",
        "Kind of BCE",
        "seed: as in the report; it changes the number that is logged but adds nothing to the gradient, so the model "
        "learns the same with and without it. active: acts on the model through its hidden states.",
        advanced=False,
    )
    base_weight: float = setting(
        0.2,
        "Weight after its warm-up",
        "How much BCE counts beside the language loss once its warm-up is over.",
        ge=0,
        le=1000,
        advanced=False,
    )
    target_weight: float = setting(
        0.2, "Cap on that weight", "The weight after the warm-up is never larger than this.", ge=0, le=1000
    )
    max_weight: float = setting(
        0.5,
        "Weight at the end of the boost",
        "The weight rises on to this after the warm-up. 0 means no boost.",
        ge=0,
        le=1000,
        advanced=False,
    )
    warmup_steps: int = setting(
        100, "BCE warm-up", "Steps over which the weight rises from 0.", unit="steps", ge=0, advanced=False
    )
    boost_span: int = setting(
        500,
        "Boost span",
        "Steps, after the warm-up, over which the weight rises to its end value.",
        unit="steps",
        ge=1,
        advanced=False,
    )
    scale: float = setting(1.0, "Scale", "Multiplies the BCE value before it is weighted.", gt=0, le=1000)
    clamp_min: float | None = setting(None, "Smallest BCE value", "Values below are raised to it. Empty: no limit.")
    clamp_max: float | None = setting(None, "Largest BCE value", "Values above are cut to it. Empty: no limit.")
    gain: float = setting(
        0.0,
        "Reward gain",
        "Lets the reward component (rl) strengthen BCE: the value is multiplied by 1 + gain x rl.",
        ge=0,
        le=100,
    )
    behavior_dim: int | None = setting(
        None,
        "Behaviour dimensions",
        "How many numbers of the pooled hidden state BCE looks at. Empty: 8 for the seed profile, all for the active.",
        unit="numbers",
        ge=1,
        le=65536,
    )
    character_decay: float = setting(
        0.99, "Character memory", "Active profile: how slowly the long-term average of the states moves.", ge=0, lt=1
    )
    context_decay: float = setting(
        0.9, "Context memory", "Active profile: how slowly the short-term average of the states moves.", ge=0, lt=1
    )
    reward_decay: float = setting(
        0.9, "Reward memory", "Active profile: how slowly the reward signal moves.", ge=0, lt=1
    )
    memory_size: int = setting(
        256,
        "States kept",
        "Active profile: how many recent states new ones are compared with.",
        unit="states",
        ge=16,
        le=65536,
    )
    neighbors: int = setting(
        5, "Neighbours", "Active profile: how many of the nearest kept states count.", unit="states", ge=1, le=8
    )
    neighbor_width: float = setting(
        0.5, "Neighbour width", "Active profile: how near a kept state must be to count as close.", gt=0, le=10
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if 0 < self.max_weight < self.base_weight:
            raise _refuse(
                "max_weight",
                self.max_weight,
                f"is below the weight after the warm-up (base_weight, {self.base_weight:g}). Set it to at least "
                f"{self.base_weight:g}, or to 0 for no boost.",
            )
        if self.clamp_min is not None and self.clamp_max is not None and self.clamp_min > self.clamp_max:
            raise _refuse("clamp_min", self.clamp_min, f"is above the largest value (clamp_max, {self.clamp_max:g}).")
        return self

    def weight(self, t: int) -> float:
        """`w(t)` for step `t` (from 1); see `schedule.bce_weight`."""
        return schedule.bce_weight(
            t,
            base=self.base_weight,
            target=self.target_weight,
            maximum=self.max_weight,
            warmup_steps=self.warmup_steps,
            boost_span=self.boost_span,
            enabled=self.enabled,
        )


def _as_tuple(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class LoggingConfig(Section):
    """How often the run reports, checks and saves."""

    logging_steps: int = setting(1, "Log every", "How often the values of the charts are written.", unit="steps", ge=1)
    eval_steps: int = setting(
        100,
        "Check every",
        "How often the model is checked on the held-out text; always at the end.",
        unit="steps",
        ge=1,
    )
    save_steps: int = setting(
        500,
        "Save a checkpoint every",
        "A checkpoint lets a run go on after a stop; one is always saved at the end.",
        unit="steps",
        ge=1,
        advanced=False,
    )
    save_total_limit: int | None = setting(
        3,
        "Checkpoints kept",
        "Older ones are deleted; the newest whole one and the best stay. Empty: keep all.",
        unit="checkpoints",
        ge=1,
    )
    report_to: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = setting(
        (),
        "Also report to",
        "Trackers that get the values too, separated by commas: tensorboard, wandb, mlflow and others that Hugging "
        "Face's Trainer knows. Each must be installed.",
    )

    def checkpoints(self, total_steps: int) -> int:
        """How many checkpoints a run of so many steps leaves on the disk, if the best is among the newest."""
        saves = schedule.times(total_steps, self.save_steps)
        return saves if self.save_total_limit is None else min(saves, self.save_total_limit)

    def most_checkpoints(self, total_steps: int) -> int:
        """How many there are at most at any time: also an older best one, and a new one beside what it will replace."""
        saves = schedule.times(total_steps, self.save_steps)
        return saves if self.save_total_limit is None else min(saves, self.save_total_limit + 2)


class RunConfig(Section):
    """All settings of one run."""

    model: ModelConfig = Field(default_factory=ModelConfig, title="Model")
    data: DataConfig = Field(default_factory=DataConfig, title="Text")
    training: TrainingConfig = Field(default_factory=TrainingConfig, title="Training")
    bce: BCEConfig = Field(default_factory=BCEConfig, title="BCE")
    logging: LoggingConfig = Field(default_factory=LoggingConfig, title="Logging and checkpoints")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.training.max_steps is not None:
            for problem in _warmup_problems(self, self.training.max_steps):
                raise _refuse(problem.field, problem.value, problem.message)
        positions = self.model.max_position_embeddings
        if self.model.kind == "offline" and self.data.block_size > positions:
            raise _refuse("data.block_size", self.data.block_size, block_size_message(positions))
        if self.training.lr_scheduler == "polynomial" and self.training.learning_rate <= schedule.POLYNOMIAL_END_LR:
            raise _refuse(
                "training.learning_rate",
                self.training.learning_rate,
                f"has to be above {schedule.POLYNOMIAL_END_LR:g}, where the polynomial curve ends.",
            )
        return self

    def total_steps(self, train_examples: int) -> int:
        """Optimizer steps of this run over `train_examples` lines."""
        return schedule.total_steps(
            train_examples,
            batch_size=self.training.batch_size,
            accumulation=self.training.gradient_accumulation_steps,
            epochs=self.training.epochs,
            max_steps=self.training.max_steps,
        )

    def steps_per_epoch(self, train_examples: int) -> int:
        """Optimizer steps of one pass over `train_examples` lines."""
        return schedule.steps_per_epoch(
            train_examples,
            batch_size=self.training.batch_size,
            accumulation=self.training.gradient_accumulation_steps,
        )

    def learning_rate(self, t: int, total_steps: int) -> float:
        """The learning rate of step `t` (from 1); see `schedule.learning_rate`."""
        return schedule.learning_rate(
            t,
            peak=self.training.learning_rate,
            warmup_steps=self.training.warmup_steps,
            total_steps=total_steps,
            schedule=self.training.lr_scheduler,
        )


def source_kind(source: str) -> ModelKind:
    """Whether a model or tokenizer source is built here, a Hub name, or a folder on this machine."""
    if source == OFFLINE_MODEL:
        return "offline"
    return "hub" if _HUB_ID.fullmatch(source) else "local"


def block_size_message(positions: int) -> str:
    """What to say of a block size beyond what the model can read."""
    return f"is longer than the model can read ({positions} tokens). Set it to {positions} or less."


def _warmup_problems(config: RunConfig, total_steps: int) -> Iterator[Problem]:
    """Warm-ups that are not over before the run is."""
    length = (
        f"is not shorter than the run ({total_steps:,} step{'s' * (total_steps != 1)}). Shorten it or train longer."
    )
    if config.training.lr_scheduler != "constant" and config.training.warmup_steps >= total_steps:
        yield Problem("training.warmup_steps", config.training.warmup_steps, length)
    if config.bce.enabled and config.bce.warmup_steps >= total_steps:
        yield Problem("bce.warmup_steps", config.bce.warmup_steps, length)


def check_against_text(config: RunConfig, *, train_examples: int) -> None:
    """Raise ConfigError for what is impossible with this number of training lines."""
    problems = list(_warmup_problems(config, config.total_steps(train_examples)))
    if problems:
        raise ConfigError(problems)
