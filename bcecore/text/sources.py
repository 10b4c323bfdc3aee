"""Files of models and tokenizers, from a folder on this machine or the Hugging Face Hub; without torch.

Only small files (configurations, vocabularies) are fetched here; the training process loads the weights itself.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from bcecore.config import source_kind
from bcecore.errors import ModelError
from bcecore.files import expanded, is_directory

# Families that attend to both sides of a word unless told otherwise; every other causal model reads left to right.
BERT_FAMILY = (
    "bert",
    "bert-generation",
    "big_bird",
    "camembert",
    "data2vec-text",
    "electra",
    "ernie",
    "megatron-bert",
    "rembert",
    "roberta",
    "roberta-prelayernorm",
    "roformer",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
)
# Their positions are counted from behind the padding token's id, so that their tables hold that many more.
_ROBERTA_FAMILY = ("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "roberta-prelayernorm", "data2vec-text")

_REACH_SECONDS = 5.0


def find_file(source: str, name: str, *, field: str) -> Path | None:
    """The file `name` of the model or tokenizer `source` (a Hub name or a folder), or None if it has no such file.

    Raises ModelError, naming the setting `field`, for a folder that is not there or a Hub name that cannot be fetched.
    """
    if source_kind(source) != "hub":
        directory = expanded(source)
        if not is_directory(directory):
            raise ModelError(
                f"There is no folder {directory}. Check the path; a Hub name starts with no slash or dot.",
                field=field,
            )
        path = directory / name
        return path if path.is_file() else None
    return _from_hub(source, name, field)


def _from_hub(source: str, name: str, field: str) -> Path | None:
    # Imported here: it takes half a second, and most runs never ask the Hub for anything.
    from huggingface_hub import constants, errors, hf_hub_download, try_to_load_from_cache

    try:
        cached = try_to_load_from_cache(source, name)
    except errors.HFValidationError as error:
        raise ModelError(
            f"{source!r} is neither a name on the Hugging Face Hub (owner/name) nor a folder on this machine.",
            field=field,
        ) from error
    if isinstance(cached, str):
        return Path(cached)
    if not _reachable(constants.ENDPOINT):
        if isinstance(try_to_load_from_cache(source, "config.json"), str):
            return None  # the model was fetched before; what is not in the cache, it does not have
        raise ModelError(_offline_message(source, field), field=field)
    try:
        return Path(hf_hub_download(source, name))
    except errors.RemoteEntryNotFoundError:
        return None
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{source} is on the Hugging Face Hub, but its owner asks you to accept terms first. Do so on its page "
            "there and log in with `hf auth login`.",
            field=field,
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise ModelError(
            f"There is no model {source} on the Hugging Face Hub (or it is private). Check the spelling, owner/name.",
            field=field,
        ) from error
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError) as error:
        raise ModelError(_offline_message(source, field), field=field) from error


def hub_is_reachable() -> bool:
    """Whether the Hugging Face Hub answers; takes at most 5 s. False where `HF_HUB_OFFLINE` says not to ask."""
    from huggingface_hub import constants

    return _reachable(constants.ENDPOINT)


def _reachable(endpoint: str) -> bool:
    """Whether the Hub answers at all, asked once: its own client retries for 23 seconds before it gives up."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        return False
    try:
        urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=_REACH_SECONDS).close()
    except urllib.error.HTTPError:
        return True  # it answered
    except (OSError, ValueError):
        return False
    return True


def _offline_message(source: str, field: str) -> str:
    return (
        f"{source} is on the Hugging Face Hub, and the Hub cannot be reached from this machine. Either connect to the "
        f"internet once (the model is then kept for later), or copy the model's folder here and set {field} to its "
        "path, or start from a recipe that builds its model here, such as quick-look or report-10-epoch-offline."
    )


def model_facts(source: str) -> dict[str, Any]:
    """The `config.json` of a Hub or local model. Raises ModelError when there is none or it is not JSON."""
    field = "model.source"
    path = find_file(source, "config.json", field=field)
    if path is None:
        raise ModelError(f"{source} has no config.json, so it is not a Hugging Face model folder.", field=field)
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"The config.json of {source} is not readable JSON: {error}", field=field) from error
    if not isinstance(facts, dict) or "model_type" not in facts:
        raise ModelError(f"The config.json of {source} does not say which kind of model it is.", field=field)
    return facts


def positions(facts: dict[str, Any]) -> int | None:
    """The longest text that a model with this `config.json` can read, in tokens; None where it does not say."""
    for key in ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length"):
        if isinstance(facts.get(key), int):
            padding = facts.get("pad_token_id", 1)
            unusable = int(padding or 0) + 1 if facts.get("model_type") in _ROBERTA_FAMILY else 0
            return int(facts[key]) - unusable
    return None
