"""Cutting texts into tokens with the `tokenizers` library, the same for the preview on a page and for training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from bcecore.config import AUTO_TOKENIZER, RunConfig
from bcecore.errors import BceError, ModelError
from bcecore.files import disk_full_explained
from bcecore.text.sources import find_file

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# Everything that `AutoTokenizer.from_pretrained` may need, and nothing that could run code.
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
# A model predicts each token from those before it, so that one token alone gives nothing to score.
MIN_TOKENS = 2
_PIECE = 1000


def train_wordpiece(texts: Sequence[str], vocab_size: int) -> tokenizers.Tokenizer:
    """A BERT-style tokenizer whose vocabulary of `vocab_size` word pieces is learnt from `texts`.

    A small text yields fewer pieces, and every letter has its own even if they are more. The same texts give the same
    vocabulary in every process. Letters keep their case and accents: Turkish tells i from ı and o from ö.
    """
    # The library numbers the letters within words in the order of a hash table, another one in each process, and which
    # pieces it then makes depends on the numbers. As "special tokens" the letters get theirs from us.
    pieces = _learn(texts, vocab_size=0, first=SPECIAL_TOKENS)
    letters = sorted(piece for piece in pieces if piece.startswith("##"))
    vocabulary = _learn(texts, vocab_size, first=[*SPECIAL_TOKENS, *letters])
    tokenizer = _bert_like(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.add_special_tokens(SPECIAL_TOKENS)
    _wrap_like_bert(tokenizer)
    return tokenizer


def _learn(texts: Sequence[str], vocab_size: int, first: list[str]) -> dict[str, int]:
    """The pieces of a vocabulary learnt from `texts`, with their numbers; `first` have the first ones."""
    tokenizer = _bert_like(models.WordPiece(unk_token="[UNK]"))
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, special_tokens=first, show_progress=False, min_frequency=1
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.get_vocab()


def _bert_like(model: models.WordPiece) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _wrap_like_bert(tokenizer: tokenizers.Tokenizer) -> None:
    """Put [CLS] before and [SEP] after every text, as BERT's own tokenizer does."""
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    if cls is None or sep is None:
        return
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", cls), ("[SEP]", sep)]
    )


def tokenizer_source(config: RunConfig) -> str | None:
    """The Hub name or folder that the tokenizer comes from; None when a vocabulary is learnt from the text."""
    if config.model.tokenizer != AUTO_TOKENIZER:
        return config.model.tokenizer
    return None if config.model.kind == "offline" else config.model.source


def write_tokenizer(config: RunConfig, texts: Sequence[str], directory: Path) -> tokenizers.Tokenizer:
    """Put the run's tokenizer into `directory`, complete and independent of where it came from, and load it.

    Raises ModelError for a source that cannot be found or has no usable tokenizer, and DiskFullError.
    """
    with disk_full_explained(directory):
        return _write_tokenizer(config, texts, directory)


def _write_tokenizer(config: RunConfig, texts: Sequence[str], directory: Path) -> tokenizers.Tokenizer:
    directory.mkdir(parents=True, exist_ok=True)
    source = tokenizer_source(config)
    if source is None:
        tokenizer = train_wordpiece(texts, config.model.vocab_size)
        # Not by the library's own `save`, whose errors do not say that the disk is full.
        (directory / "tokenizer.json").write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
        settings = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            **{f"{name[1:-1].lower()}_token": name for name in SPECIAL_TOKENS},
        }
        (directory / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
        return tokenizer
    field = "model.source" if config.model.tokenizer == AUTO_TOKENIZER else "model.tokenizer"
    for name in TOKENIZER_FILES:
        found = find_file(source, name, field=field)
        if found is not None:
            shutil.copyfile(found, directory / name)
    return load_tokenizer(directory, source)


def load_tokenizer(directory: Path, name: str | None = None) -> tokenizers.Tokenizer:
    """The tokenizer in `directory`, with no truncation or padding of its own.

    Reads tokenizer.json, or BERT's older vocab.txt alone. `name` is what an error calls it. Raises ModelError.
    """
    name = name or str(directory)
    json_file, vocab_file = directory / "tokenizer.json", directory / "vocab.txt"
    try:
        if json_file.is_file():
            tokenizer = tokenizers.Tokenizer.from_file(str(json_file))
        elif vocab_file.is_file():
            tokenizer = _bert_from_vocabulary(vocab_file)
        else:
            raise ModelError(
                f"{name} has no tokenizer.json and no vocab.txt, so its text cannot be cut into tokens. "
                "Load it once with Hugging Face's AutoTokenizer and save_pretrained it, or name another tokenizer.",
                field="model.tokenizer",
            )
    except BceError:
        raise
    except Exception as error:  # the library raises bare Exception for a malformed file
        raise ModelError(f"The tokenizer of {name} cannot be read: {error}", field="model.tokenizer") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _bert_from_vocabulary(vocab_file: Path) -> tokenizers.Tokenizer:
    words = vocab_file.read_text(encoding="utf-8").splitlines()
    settings_file = vocab_file.with_name("tokenizer_config.json")
    settings = json.loads(settings_file.read_text(encoding="utf-8")) if settings_file.is_file() else {}
    tokenizer = tokenizers.Tokenizer(
        models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]")
    )
    # Lower case is also what Hugging Face's BertTokenizer assumes where the settings do not say.
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=bool(settings.get("do_lower_case", True)))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens([token for token in SPECIAL_TOKENS if tokenizer.token_to_id(token) is not None])
    _wrap_like_bert(tokenizer)
    return tokenizer


@dataclass(frozen=True)
class Encoded:
    """Texts as token ids."""

    ids: list[list[int]]
    """One list of token ids an example, special tokens included, cut to the block size."""
    cut: int
    """How many examples were cut."""
    too_short: int
    """How many examples were left out because they have fewer than two tokens."""
    cut_off: int = 0
    """Tokens that were cut off, of all examples together."""
    longest: int = 0
    """Tokens of the longest example, before anything was cut off."""

    @property
    def tokens(self) -> int:
        """Tokens of all examples together."""
        return sum(map(len, self.ids))


def encode(tokenizer: tokenizers.Tokenizer, texts: Sequence[str], block_size: int) -> Encoded:
    """Cut `texts` into tokens, at most `block_size` each (the closing special token is kept).

    A text of fewer than two tokens is left out and counted: its loss would be 0/0.
    """
    ids: list[list[int]] = []
    cut = too_short = cut_off = longest = 0
    # In pieces: what the library returns for a text is many times as large as its ids.
    for start in range(0, len(texts), _PIECE):
        piece = list(texts[start : start + _PIECE])
        whole = [encoding.ids for encoding in tokenizer.encode_batch_fast(piece)]
        long = [position for position, tokens in enumerate(whole) if len(tokens) > block_size]
        tokenizer.enable_truncation(block_size)
        try:
            shortened = tokenizer.encode_batch_fast([piece[position] for position in long])
        finally:
            tokenizer.no_truncation()
        longest = max([longest, *map(len, whole)])
        for position, encoding in zip(long, shortened, strict=True):
            cut_off += len(whole[position]) - len(encoding.ids)
            whole[position] = encoding.ids
        kept = [tokens for tokens in whole if len(tokens) >= MIN_TOKENS]
        ids += kept
        cut += len(long)
        too_short += len(whole) - len(kept)
    return Encoded(ids, cut, too_short, cut_off, longest)


def unknown_id(tokenizer: tokenizers.Tokenizer) -> int | None:
    """The token that stands for what the vocabulary does not have; None where it can write everything."""
    model = tokenizer.model
    if isinstance(model, models.Unigram):  # says it nowhere else
        found = json.loads(tokenizer.to_str())["model"].get("unk_id")
        return None if found is None else int(found)
    name = getattr(model, "unk_token", None)
    return None if name is None else tokenizer.token_to_id(name)


@dataclass(frozen=True)
class PreviewToken:
    """One token as the preview shows it."""

    text: str
    special: bool
    scored: bool
    """Whether the model has to predict it; the first token of a text is only read."""


def preview(tokenizer: tokenizers.Tokenizer, text: str, block_size: int) -> tuple[list[PreviewToken], int]:
    """The tokens of one text as the model sees them, and how many were cut off behind them."""
    encoding = tokenizer.encode(text)
    whole = len(encoding.ids)
    tokenizer.enable_truncation(block_size)
    try:
        encoding = tokenizer.encode(text)
    finally:
        tokenizer.no_truncation()
    tokens = []
    for position, (token, special, (start, end)) in enumerate(
        zip(encoding.tokens, encoding.special_tokens_mask, encoding.offsets, strict=True)
    ):
        shown = token if special or end <= start else text[start:end]
        tokens.append(PreviewToken(shown, bool(special), position > 0))
    return tokens, whole - len(tokens)
