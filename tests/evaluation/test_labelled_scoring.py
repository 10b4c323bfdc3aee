"""The likelihood of labels: which tokens count, what long texts lose, and a model that knows the answer."""

from __future__ import annotations

from typing import Any

import pytest
import tokenizers
import torch
from sklearn.metrics import f1_score
from transformers import BertConfig, BertLMHeadModel

from bcecore.config import BCEConfig
from bcecore.errors import TextError
from bcecore.evaluation.forward import Forward
from bcecore.evaluation.labelled_scoring import LabelScorer
from bcecore.evaluation.pages import Row
from bcecore.evaluation.scoring import score_page
from bcecore.store.evaluations import SplitSpec
from bcecore.text.tokenizing import train_wordpiece
from bcecore.training.models import prepare_model
from bcecore.training.regularizer import Regularizer

TEMPLATE = "{text}\nSentiment: {label}"
LABELS = ("good", "very bad")
WORDS = "the film was lovely dull bread is warm and cold Sentiment : good very bad"


@pytest.fixture(scope="module")
def tokenizer() -> tokenizers.Tokenizer:
    return train_wordpiece([WORDS] * 3, 200)


def model_of(tokenizer: tokenizers.Tokenizer) -> BertLMHeadModel:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        num_hidden_layers=2,
        max_position_embeddings=64,
        is_decoder=True,
        **sizes,
    )
    model = BertLMHeadModel(config).eval()
    prepare_model(model)
    return model


def split(labels: tuple[str, ...] = LABELS, block_size: int = 40) -> SplitSpec:
    return SplitSpec(
        name="reviews",
        kind="labelled",
        file="data/0.jsonl",
        source="",
        sha256="",
        rows=1,
        block_size=block_size,
        template=TEMPLATE,
        labels=labels,
    )


def test_a_label_is_scored_by_its_own_tokens_alone(tokenizer: tokenizers.Tokenizer) -> None:
    scorer = LabelScorer(tokenizer, "{text}\nSentiment: {label} {not a placeholder}!", LABELS, 64)
    prompt = scorer.prompts("the film {label} was lovely")
    assert not prompt.is_cut
    for piece, label in zip(prompt.pieces, LABELS, strict=True):
        scored = [tokenizer.id_to_token(token) for token in piece.ids[piece.first : piece.last]]
        assert scored == tokenizer.encode(label).tokens[1:-1]
    # All before the labels is the same.
    first, second = prompt.pieces
    assert first.first == second.first and first.ids[: first.first] == second.ids[: second.first]


def test_the_score_is_the_models_log_likelihood(tokenizer: tokenizers.Tokenizer) -> None:
    model = model_of(tokenizer)
    forward = Forward(model, Regularizer(BCEConfig(profile="seed")))
    rows = score_page(forward, tokenizer, split(), 1, [Row(0, "the film was lovely", "good")], 1000).rows
    (row,) = rows
    expected, means = [], []
    prompt = tokenizer.encode("the film was lovely\nSentiment: ").ids[:-1]
    for label in LABELS:
        answer = tokenizer.encode(label).ids[1:-1]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([prompt + answer])).logits[0]
        chances = logits.log_softmax(dim=1)[len(prompt) - 1 : -1]
        values = [float(chances[place, token]) for place, token in enumerate(answer)]
        expected.append(sum(values))
        means.append(sum(values) / len(values))
    assert row["label_scores"] == pytest.approx(expected, abs=1e-5)
    assert row["label_means"] == pytest.approx(means, abs=1e-5)
    assert row["predicted"] == LABELS[expected.index(max(expected))] and row["label"] == "good"
    # The text itself is scored as in any other split.
    ids = torch.tensor([tokenizer.encode("the film was lovely").ids])
    with torch.no_grad():
        assert row["ce"] == pytest.approx(float(model(input_ids=ids, labels=ids).loss), abs=1e-5)


def test_a_long_text_loses_its_end_and_the_template_stays(tokenizer: tokenizers.Tokenizer) -> None:
    text = "the film was lovely and the bread is warm and the film was dull"
    for size in range(9, 24):
        prompt = LabelScorer(tokenizer, TEMPLATE, LABELS, size).prompts(text)
        assert max(len(piece.ids) for piece in prompt.pieces) <= size
        whole = tokenizer.encode(TEMPLATE.replace("{text}", text).replace("{label}", LABELS[1])).ids
        assert prompt.is_cut == (len(whole) > size)
        longest = prompt.pieces[1]
        assert prompt.is_cut is False or len(longest.ids) == size
        kept = longest.ids[: longest.first - 2]  # without "Sentiment", ":"
        assert kept == whole[: len(kept)] and len(kept) > 1
    with pytest.raises(TextError, match="leave no room for the text: 6 tokens"):
        LabelScorer(tokenizer, TEMPLATE, LABELS, 6).prompts(text)


def test_what_cannot_be_asked_is_said(tokenizer: tokenizers.Tokenizer) -> None:
    with pytest.raises(TextError, match="is missing in the template"):
        LabelScorer(tokenizer, "{text} is", LABELS, 40)
    with pytest.raises(TextError, match=r"The label '\\t' has no token"):
        LabelScorer(tokenizer, TEMPLATE, ("good", "\t"), 40).prompts("the film")


def test_a_planted_model_is_right_on_a_known_share(tokenizer: tokenizers.Tokenizer) -> None:
    """A model taught that "lovely" is good and "dull" is bad, asked about texts of which a fifth says otherwise."""
    model = model_of(tokenizer)
    templates = ["the film was {}", "the bread is {}", "warm and {}", "the cold film is {}"]
    lessons = [(text.format("lovely"), "good") for text in templates]
    lessons += [(text.format("dull"), "very bad") for text in templates]
    ids = [tokenizer.encode(f"{text}\nSentiment: {label}").ids for text, label in lessons]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = sum(model(input_ids=torch.tensor([tokens]), labels=torch.tensor([tokens])).loss for tokens in ids)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimizer.step()
    model.eval()
    right = [(text, label) for text, label in lessons for _ in range(2)]
    wrong = [(lessons[0][0], "very bad")] * 3 + [(lessons[4][0], "good")]
    page = [Row(number, text, label) for number, (text, label) in enumerate(right + wrong)]
    forward = Forward(model, Regularizer(BCEConfig(profile="seed")))
    rows = score_page(forward, tokenizer, split(), 1, page, 200).rows
    true, predicted = [row["label"] for row in rows], [row["predicted"] for row in rows]
    assert sum(a == b for a, b in zip(true, predicted, strict=True)) == 16 and len(rows) == 20
    by_hand = (2 * 8 / (8 + 1 + 8 + 3) + 2 * 8 / (8 + 3 + 8 + 1)) / 2
    assert f1_score(true, predicted, average="macro") == pytest.approx(by_hand)


def test_scores_that_are_no_numbers_predict_nothing(tokenizer: tokenizers.Tokenizer) -> None:
    model = model_of(tokenizer)
    with torch.no_grad():
        model.cls.predictions.bias.fill_(torch.nan)
    forward = Forward(model, Regularizer(BCEConfig(profile="seed")))
    (row,) = score_page(forward, tokenizer, split(), 1, [Row(0, "the film", "good")], 1000).rows
    assert row["predicted"] is None
