"""Files of models: from folders, from the Hub's cache, from a Hub that answers in every way it can, and without one."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants, errors

from bcecore.errors import ModelError
from bcecore.text import sources
from bcecore.text.sources import find_file, model_facts, positions

NAME = "owner/model"


def find(name: str = "config.json", source: str = NAME) -> Path | None:
    return find_file(source, name, field="model.source")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hub cache."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Any, ...]]]:
    """A Hub that can be reached; tests say what it answers. The list has the requests."""
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(sources, "_reachable", lambda _endpoint: True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *args: asked.append(args) or "/downloaded")
    return asked


def fill(cache: Path, **files: Any) -> None:
    snapshot = cache / "models--owner--model" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (cache / "models--owner--model" / "refs").mkdir()
    (cache / "models--owner--model" / "refs" / "main").write_text("abc")
    for name, content in files.items():
        (snapshot / name.replace("_json", ".json")).write_text(json.dumps(content))


# Folders


def test_files_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "vocab.txt").mkdir()  # not a file
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for source in (str(tmp_path / "model"), "./model", "~/model"):
        found = find(source=source)
        assert found is not None
        assert found.samefile(tmp_path / "model" / "config.json")
        assert find("tokenizer.json", source) is None
        assert find("vocab.txt", source) is None


@pytest.mark.parametrize(
    "source", ["/no/such/folder", "./none", "~nobody-of-that-name/model", "/" + "x" * 300, "a/b/c"]
)
def test_a_folder_that_is_not_there(source: str) -> None:
    with pytest.raises(ModelError, match="There is no folder") as caught:
        find(source=source)
    assert caught.value.field == "model.source"
    assert str(Path(source)) in str(caught.value)


# The Hub


def test_without_a_network_the_sentence_says_what_to_do(cache: Path) -> None:
    for field in ("model.source", "model.tokenizer"):
        with pytest.raises(ModelError) as caught:
            find_file("prajjwal1/bert-tiny", "config.json", field=field)
        assert caught.value.field == field
        assert str(caught.value) == (
            "prajjwal1/bert-tiny is on the Hugging Face Hub, and the Hub cannot be reached from this machine. Either "
            "connect to the internet once (the model is then kept for later), or copy the model's folder here and set "
            f"{field} to its path, or start from a recipe that builds its model here, such as quick-look or "
            "report-10-epoch-offline."
        )
    assert not cache.exists()


def test_what_was_fetched_before_needs_no_network(cache: Path) -> None:
    fill(cache, config_json={"model_type": "bert"})
    assert model_facts(NAME) == {"model_type": "bert"}
    assert find("tokenizer.json") is None  # and it is not asked for, the model has none


def test_a_file_is_fetched(hub: list[tuple[Any, ...]]) -> None:
    assert find() == Path("/downloaded")
    assert hub == [(NAME, "config.json")]


ANSWER: Any = SimpleNamespace(headers={}, request=None)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.GatedRepoError("no", response=ANSWER), "its owner asks you to accept terms first"),
        (errors.RepositoryNotFoundError("no", response=ANSWER), "There is no model owner/model on the Hugging"),
        (errors.HfHubHTTPError("no", response=ANSWER), "the Hub cannot be reached from this machine"),
        (errors.LocalEntryNotFoundError("no"), "the Hub cannot be reached from this machine"),
        (ConnectionError("no"), "the Hub cannot be reached from this machine"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_refusal_of_the_hub_has_its_sentence(
    hub: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def refuse(*_args: Any) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(ModelError, match=words) as caught:
        find()
    assert caught.value.field == "model.source"


def test_a_file_that_the_model_does_not_have(hub: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any) -> str:
        raise errors.RemoteEntryNotFoundError("no", response=ANSWER)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    assert find("vocab.txt") is None
    with pytest.raises(ModelError, match=r"owner/model has no config\.json"):
        model_facts(NAME)


@pytest.mark.parametrize("source", ["foo--bar", "bert-", "a.git", "a..b", "x" * 100])
def test_a_name_that_the_hub_does_not_allow(source: str) -> None:
    with pytest.raises(ModelError, match="is neither a name on the Hugging Face Hub"):
        find(source=source)


# Whether it can be reached


@pytest.mark.parametrize(("status", "reached"), [(200, True), (404, True), (503, True), (None, False)])
def test_whoever_answers_is_there(monkeypatch: pytest.MonkeyPatch, status: int | None, reached: bool) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            assert status is not None
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            pass

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        if status is not None:
            threading.Thread(target=server.handle_request, daemon=True).start()
            assert sources._reachable(address) is reached
    if status is None:  # the server is closed now
        assert sources._reachable(address) is reached


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_nobody_is_asked_where_the_hub_is_switched_off(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    def never(*_args: Any, **_kwargs: Any) -> None:
        raise AssertionError("the Hub was asked")

    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    monkeypatch.setattr(sources.urllib.request, "urlopen", never)
    assert not sources._reachable("https://example.invalid")


def test_an_address_that_is_none_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert not sources._reachable("http://[nonsense")
    assert not sources._reachable("nonsense")


# What a config.json says


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "is not readable JSON"), ("[]", "does not say which kind"), ("{}", "does not say which kind")],
)
def test_a_config_that_says_nothing(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelError, match=words) as caught:
        model_facts(str(tmp_path))
    assert caught.value.field == "model.source"


def test_a_folder_without_a_config(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json, so it is not a Hugging Face model folder"):
        model_facts(str(tmp_path))


@pytest.mark.parametrize(
    ("facts", "longest"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512}, 512),
        ({"model_type": "gpt2", "n_positions": 1024}, 1024),
        ({"model_type": "gpt2", "n_positions": 1024, "n_ctx": 512}, 1024),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514}, 512),
        ({"model_type": "camembert", "max_position_embeddings": 514, "pad_token_id": None}, 513),
        ({"model_type": "bloom"}, None),
        ({"model_type": "bert", "max_position_embeddings": None}, None),
    ],
)
def test_the_longest_text_that_a_model_reads(facts: dict[str, Any], longest: int | None) -> None:
    assert positions(facts) == longest


@pytest.mark.parametrize("family", ["bert", "roberta", "camembert", "xlm-roberta", "electra", "ernie", "gpt2"])
def test_the_real_models_read_as_far_as_that_and_no_further(family: str) -> None:
    import torch
    import transformers

    settings = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    tokens = {"bos_token_id": 0, "eos_token_id": 2}
    config = transformers.AutoConfig.for_model(
        family, vocab_size=16, max_position_embeddings=20, is_decoder=True, **settings, **tokens
    )
    if family == "electra":
        config.embedding_size = 8
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    longest = positions(config.to_dict())
    assert longest is not None
    model(input_ids=torch.full((1, longest), 5))
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, longest + 1), 5))


def test_the_reports_config(shared_data: Path) -> None:
    facts = model_facts(str(shared_data / "tokenizer"))
    assert (facts["model_type"], positions(facts)) == ("bert", 512)
