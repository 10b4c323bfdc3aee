"""unknown-tokens: a real vocabulary on text in letters that it does not have, and on its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from bcecore.config import RunConfig
from bcecore.findings.unknown_tokens import unknown_tokens
from bcecore.jobs.submit import Checked, check
from bcecore.settings import with_values
from bcecore.text.tokenizing import train_wordpiece, unknown_id

LATIN = [f"Line {number} of a text in Latin letters" for number in range(60)]
GREEK = [f"Γραμμή {number} ενός κειμένου με ελληνικά γράμματα" for number in range(60)]


@pytest.fixture
def latin(tmp_path: Path) -> Path:
    """A folder with a tokenizer that has never seen Greek."""
    folder = tmp_path / "latin"
    folder.mkdir()
    train_wordpiece(LATIN, 200).save(str(folder / "tokenizer.json"))
    return folder


def checked(tmp_path: Path, lines: list[str], tokenizer: str = "auto", check_on: list[str] | None = None) -> Checked:
    path, other = tmp_path / "lines.txt", tmp_path / "other.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    changes = {"data.train_file": str(path), "model.tokenizer": tokenizer, "bce.enabled": False}
    if check_on is not None:
        other.write_text("\n".join(check_on), encoding="utf-8")
        changes |= {"data.validation": "file", "data.validation_file": str(other)}
    return check(with_values(RunConfig(), changes))


def found(text: Checked) -> list[str]:
    ids = text.train.ids, text.validation.ids
    return [
        f"{finding.severity} {finding.field} {finding.fix.changes if finding.fix else None} {finding.sentence}"
        for finding in unknown_tokens("run", text.config, *ids, unknown_id(text.tokenizer))
    ]


def test_a_foreign_vocabulary_is_told_and_an_own_one_has_everything(tmp_path: Path, latin: Path) -> None:
    (told,) = found(checked(tmp_path, GREEK, str(latin)))
    assert told.startswith("W model.tokenizer {'model.tokenizer': 'auto'} The tokenizer does not know ")
    assert found(checked(tmp_path, LATIN, str(latin))) == []
    assert found(checked(tmp_path, GREEK)) == []  # what the button leads to


def test_checking_text_in_other_letters_than_the_training_text(tmp_path: Path) -> None:
    (told,) = found(checked(tmp_path, LATIN, check_on=GREEK))
    assert told.startswith("N model.source None") and "of the checking text" in told


def test_a_thousandth_is_noted_and_a_hundredth_is_warned_of() -> None:
    from_the_hub = with_values(RunConfig(), {"model.source": "owner/model"})

    def severity(unknown: int, config: RunConfig = from_the_hub) -> list[str]:
        line = [7] * unknown + [8] * (10_000 - unknown)
        return [finding.severity for finding in unknown_tokens("run", config, [line], [], 7)]

    assert [severity(number) for number in (9, 10, 99, 100)] == [[], ["N"], ["N"], ["W"]]
    assert [severity(number, RunConfig()) for number in (99, 100)] == [[], ["N"]]  # learnt from the text itself
    assert unknown_tokens("run", RunConfig(), [], [], 7) == []


def test_which_token_is_the_unknown_one() -> None:
    assert unknown_id(Tokenizer(models.WordPiece({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))) == 1
    assert unknown_id(Tokenizer(models.Unigram([("a", -1.0), ("<unk>", 0.0)], unk_id=1))) == 1
    assert unknown_id(Tokenizer(models.Unigram([("a", -1.0)]))) is None
    bytes_only = Tokenizer(models.BPE({"a": 0}, []))
    assert unknown_id(bytes_only) is None
    assert unknown_tokens("run", RunConfig(), [[0, 0]], [], unknown_id(bytes_only)) == []
