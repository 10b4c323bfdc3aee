"""Reading texts: what each kind of file gives, and the sentence for every file that is none."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.config import SAMPLE_TEXT
from bcecore.errors import TextError
from bcecore.text.reading import (
    MAX_LINE_CHARACTERS,
    SAMPLE_TRAIN_FILE,
    SAMPLE_VALIDATION_FILE,
    read_labelled,
    read_rows,
    read_texts,
    text_path,
)

TEXTS = ["İlk satır", "second, with a comma", 'third "quoted"', "  dördüncü  ", "", "   ", "last"]
STRIPPED = ["İlk satır", "second, with a comma", 'third "quoted"', "dördüncü", "last"]


def write(path: Path, texts: list[str | None], column: str = "text") -> Path:
    """A file of the kind that `path` says, with these texts."""
    rows = [{"id": number, column: text} for number, text in enumerate(texts)]
    if path.suffix == ".txt":
        path.write_text("".join(f"{text or ''}\n" for text in texts), encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["id", column])
            writer.writeheader()
            writer.writerows(rows)
    else:
        ids, column_type = pyarrow.array(range(len(texts)), pyarrow.int64()), pyarrow.string()
        table = pyarrow.table({"id": ids, column: pyarrow.array(texts, column_type)})
        pyarrow.parquet.write_table(table, path)
    return path


def refusal(path: Path, column: str = "text") -> TextError:
    with pytest.raises(TextError) as caught:
        read_texts(path, column)
    assert "\n" not in str(caught.value).strip()
    return caught.value


# What is read


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".parquet"])
def test_every_kind_of_file_gives_its_texts_in_order(tmp_path: Path, suffix: str) -> None:
    assert read_texts(write(tmp_path / f"a{suffix}", list(TEXTS))) == STRIPPED


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_another_column_can_be_named_and_gaps_are_empty(tmp_path: Path, suffix: str) -> None:
    assert read_texts(write(tmp_path / f"a{suffix}", ["bir", None, "iki"], column="cümle"), "cümle") == ["bir", "iki"]


def test_the_column_does_not_matter_to_plain_text(tmp_path: Path) -> None:
    assert read_texts(write(tmp_path / "a.txt", ["bir"]), "no such column") == ["bir"]


@pytest.mark.parametrize("name", ["A.TXT", "b.Csv", "c.JSONL", "d.Parquet"])
def test_capitals_in_the_suffix_do_not_matter(tmp_path: Path, name: str) -> None:
    write(tmp_path / name.lower(), ["bir", "iki"]).rename(tmp_path / name)
    assert read_texts(tmp_path / name) == ["bir", "iki"]


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("lead", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
def test_line_ends_and_the_mark_of_windows_editors_are_no_text(
    tmp_path: Path, suffix: str, end: str, lead: bytes
) -> None:
    lines = {
        ".txt": ["bir", "", "iki"],
        ".jsonl": ['{"text": "bir"}', "", '{"text": "iki"}'],
        ".csv": ["text,id", "bir,1", "", "iki,2"],
    }[suffix]
    path = tmp_path / f"a{suffix}"
    for last in (end, ""):
        path.write_bytes(lead + (end.join(lines) + last).encode())
        assert read_texts(path) == ["bir", "iki"]


def test_only_line_ends_end_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\u2028still one\x0b\x85 and still\ntwo", encoding="utf-8", newline="")
    assert read_texts(path) == ["one\u2028still one\x0b\x85 and still", "two"]


def test_a_text_in_a_table_may_hold_line_breaks_and_quotes(tmp_path: Path) -> None:
    texts: list[str | None] = ['one\nline, and "another"', "two\r\nthree"]
    for suffix in (".csv", ".jsonl", ".parquet"):
        assert read_texts(write(tmp_path / f"a{suffix}", texts)) == texts


def test_a_row_that_is_too_short_has_no_text_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1\n2,iki\n")
    assert read_texts(tmp_path / "a.csv") == ["iki"]
    (tmp_path / "b.csv").write_text("id,text\n1,bir,,\n2,iki\n")  # spreadsheets add commas
    assert read_texts(tmp_path / "b.csv") == ["bir", "iki"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=8).filter("".join))
def test_jsonl_and_csv_give_back_what_was_written(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    expected = [text.strip() for text in texts if text.strip()]
    folder = tmp_path_factory.mktemp("read")
    for suffix in (".jsonl", ".csv"):
        path = write(folder / f"a{suffix}", list(texts))
        if not expected:
            assert "no text in it" in str(refusal(path))
        elif suffix == ".csv" and b"\0" in path.read_bytes():
            assert "binary data" in str(refusal(path))
        else:
            assert read_texts(path) == expected


def test_a_text_of_the_greatest_length_is_read(tmp_path: Path) -> None:
    longest = "x" * MAX_LINE_CHARACTERS
    for end in ("\n", "\r\n", ""):
        (tmp_path / "a.txt").write_bytes(f"short\n{longest}{end}".encode())
        assert read_texts(tmp_path / "a.txt") == ["short", longest]
    for suffix in (".csv", ".parquet"):
        assert read_texts(write(tmp_path / f"a{suffix}", [longest, "short"])) == [longest, "short"]


def test_sample_means_the_text_that_comes_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert text_path(SAMPLE_TEXT) == SAMPLE_TRAIN_FILE
    assert text_path(SAMPLE_TEXT, validation=True) == SAMPLE_VALIDATION_FILE
    monkeypatch.setenv("HOME", str(tmp_path))
    assert text_path("~/a.txt") == Path("~/a.txt").expanduser()
    assert text_path("~nobody-of-that-name/a.txt") == Path("~nobody-of-that-name/a.txt")


# What is not


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "missing.txt"
    assert str(refusal(path)) == f"There is no file {path}. Check the name and the folder."
    assert str(refusal(tmp_path / "no folder" / "a.csv")).startswith("There is no file ")


def test_a_folder(tmp_path: Path) -> None:
    for name in ("data", "data.txt"):
        (tmp_path / name).mkdir()
        assert str(refusal(tmp_path / name)) == f"{tmp_path / name} is a folder. Name a file in it."


@pytest.mark.parametrize("name", ["a.pdf", "a", "a.txt.gz", "a.docx", ".txt"])
def test_another_kind_of_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("text")
    expected = f"{name} is not a kind of file that can be read. Use one of .txt, .jsonl, .csv, .parquet."
    assert str(refusal(tmp_path / name)) == expected


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".parquet"])
def test_an_empty_file(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").touch()
    assert str(refusal(tmp_path / f"a{suffix}")) == f"a{suffix} is empty. Use a file with at least two lines of text."


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".parquet"])
def test_a_file_with_nothing_but_empty_lines(tmp_path: Path, suffix: str) -> None:
    error = refusal(write(tmp_path / f"a{suffix}", ["", "  ", "\t"]))
    assert str(error).startswith(f"a{suffix} has no text in it, only empty lines.")


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv"])
@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "İlk satır\n".encode("utf-16"), b"text\n\0"],
    ids=["png", "utf16", "nul"],
)
def test_a_binary_file(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"a{suffix}").write_bytes(content)
    assert str(refusal(tmp_path / f"a{suffix}")) == (
        f"a{suffix} is not a text file (it holds binary data). Save it as plain text in UTF-8 and try again."
    )


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv"])
def test_a_file_in_another_encoding_and_where_it_shows(tmp_path: Path, suffix: str) -> None:
    lead = {".txt": "bir\niki", ".jsonl": '{"text": "bir"}\n{"text": "', ".csv": "text\n"}[suffix]
    (tmp_path / f"a{suffix}").write_bytes(lead.encode() + "ş".encode("iso-8859-9") + b"\nson\n")
    assert str(refusal(tmp_path / f"a{suffix}")) == (
        f"a{suffix} is not in UTF-8: byte 0xfe does not fit in line 2. Save it as UTF-8 (in most editors: Save as, "
        "encoding UTF-8) and try again."
    )


def test_the_line_that_is_not_utf_8_is_found_far_behind_the_first(tmp_path: Path) -> None:
    # ş in UTF-8 holds the byte 0x9f, which is what does not fit further down.
    lines = ["ğ ş ğ".encode()] * 70_000
    lines[65_431] = b"half a letter: \x9f"
    (tmp_path / "a.txt").write_bytes(b"\n".join(lines))
    assert "byte 0x9f does not fit in line 65,432." in str(refusal(tmp_path / "a.txt"))


def test_a_letter_that_is_cut_off_at_the_end_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("bir\niki ş".encode()[:-1])
    assert "byte 0xc5 does not fit in line 2." in str(refusal(tmp_path / "a.txt"))


@pytest.mark.parametrize(
    ("suffix", "where"), [(".jsonl", "line 1"), (".csv", "its first line"), (".parquet", "the file")]
)
def test_a_file_without_the_column(tmp_path: Path, suffix: str, where: str) -> None:
    error = refusal(write(tmp_path / f"a{suffix}", ["bir"], column="cümle"))
    expected = f"a{suffix} has no column 'text': {where} has id, cümle. Name one of those."
    assert (str(error), error.field) == (expected, "data.column")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[1]", "Line 2 of a.jsonl is not a JSON object"),
        ('"text"', "Line 2 of a.jsonl is not a JSON object"),
        ("{}", "has no column 'text': line 2 has no columns"),
        ("{text}", "Line 2 of a.jsonl is not JSON (Expecting"),
        ("[" * 100_000, "Line 2 of a.jsonl is not JSON ("),
        ('{"text": 3}', "Row 2 of a.jsonl holds 3 where a text was expected"),
        ('{"text": ["a"]}', "holds ['a'] where a text was expected"),
        (r'{"text": "half \ud83d"}', r"Row 2 of a.jsonl holds half a character ('\ud83d') at position 6"),
    ],
)
def test_jsonl_that_is_none(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"text": "bir"}}\n{line}\n', encoding="utf-8")
    assert words in str(refusal(tmp_path / "a.jsonl"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text\nHello, world\nbir\n", "Line 2 of a.csv has more fields than the first line has names. Quote texts"),
        ('text\n"never closed\nbir\niki\n', "a.csv is not a well-formed CSV file near line "),
        ('text\nbir\n"he said "no" to me"\n', "near line 3 ("),
        ("\n\n", "a.csv has no column 'text': its first line has no columns."),
    ],
)
def test_csv_that_is_none(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    assert words in str(refusal(tmp_path / "a.csv"))


@pytest.mark.parametrize("content", [b"hello hello hello", b"PAR1 and nothing else PAR1"])
def test_parquet_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    assert str(refusal(tmp_path / "a.parquet")).startswith("a.parquet is not a readable Parquet file: ")


def test_a_column_of_numbers_and_two_of_one_name(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"text": [7, 8]}), tmp_path / "a.parquet")
    error = refusal(tmp_path / "a.parquet")
    assert str(error).startswith("Row 1 of a.parquet holds 7 where a text was expected.")
    assert error.field == "data.column"
    twice = pyarrow.Table.from_arrays([pyarrow.array(["a"]), pyarrow.array(["b"])], names=["text", "text"])
    pyarrow.parquet.write_table(twice, tmp_path / "b.parquet")
    assert "b.parquet has several columns 'text'" in str(refusal(tmp_path / "b.parquet"))


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".parquet"])
def test_a_huge_line(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", ["bir", "x" * (MAX_LINE_CHARACTERS + 1)])
    assert "1,000,000 characters" in str(refusal(path))
    place = {".txt": "Line 2 of", ".jsonl": "Line 2 of", ".csv": "near line 3", ".parquet": "Row 2 of"}[suffix]
    assert place in str(refusal(path))


def test_a_file_without_line_breaks_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        file.write(b"x")
        file.seek(3 * 10**9)  # takes no room on the disk, but would in memory
        file.write(b"x")
    with path.open("r+b") as file:
        file.write(b"x" * (MAX_LINE_CHARACTERS + 100))
    assert "Line 1 of a.txt is longer than 1,000,000 characters" in str(refusal(path))


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    assert "could not be read: File name too long" in str(refusal(tmp_path / ("x" * 300 + ".txt")))
    assert str(refusal(Path("a\0b.txt"))).startswith("There is no file ")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows forbids in other ways")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", ["bir"])
    path.chmod(0)
    me = os.geteuid()
    if me == 0:  # nothing is forbidden to root
        os.seteuid(65534)
    try:
        assert "could not be read: Permission denied" in str(refusal(path))
    finally:
        os.seteuid(me)


def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise OSError(5, "Input/output error")

    path = write(tmp_path / "a.txt", ["bir"])
    monkeypatch.setattr(Path, "open", fail)
    assert str(refusal(path)) == f"{path} could not be read: Input/output error."


# Labels


LABELLED = [("  bir ", " a "), ("iki, üç", "b"), (None, "a"), ("dört", None), ("beş", ""), ("altı", "b")]
PAIRS = [("bir", "a"), ("iki, üç", "b"), ("", "a"), ("dört", ""), ("beş", ""), ("altı", "b")]


def write_labelled(path: Path, rows: list[tuple[Any, Any]]) -> Path:
    """A file of the kind that `path` says, with these texts and labels."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    else:
        texts, labels = zip(*rows, strict=True)
        pyarrow.parquet.write_table(pyarrow.table({"text": texts, "label": labels}), path)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_texts_and_labels_stay_together(tmp_path: Path, suffix: str) -> None:
    path = write_labelled(tmp_path / f"a{suffix}", LABELLED)
    assert read_labelled(path) == PAIRS
    assert read_rows(path) == [text for text, _ in PAIRS]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize(
    ("labels", "read"),
    [
        ([0, 1, None], ["0", "1", ""]),
        ([1.0, 0.0, None], ["1", "0", ""]),
        ([True, False, True], ["true", "false", "true"]),
    ],
)
def test_labels_may_be_numbers(tmp_path: Path, suffix: str, labels: list[Any], read: list[str]) -> None:
    path = write_labelled(tmp_path / f"a{suffix}", [("bir", label) for label in labels])
    assert [label for _, label in read_labelled(path)] == read


def test_a_label_that_is_not_there_in_some_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "bir", "label": "a"}\n\n{"text": "iki"}\n')
    assert read_labelled(path) == [("bir", "a"), ("iki", "")]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.jsonl", '{"text": "bir"}\n', "No row of a.jsonl has a label in the column 'label'"),
        ("a.csv", "text,class\nbir,a\n", "a.csv has no column 'label': its first line has text, class"),
        ("a.csv", "text,label\nbir,\n", "No row of a.csv has a label in the column 'label'"),
        ("a.jsonl", '{"text": "bir", "label": ["a"]}\n', "Row 1 of a.jsonl holds ['a'] where a label was expected"),
        ("a.jsonl", '{"text": "bir", "label": 0.5}\n', "Row 1 of a.jsonl holds 0.5 where a label was expected"),
        ("a.jsonl", '{"text": 1, "label": "a"}\n', "Row 1 of a.jsonl holds 1 where a text was expected"),
        ("a.txt", "bir\n", "a.txt holds texts only. Labels take a file with columns"),
    ],
)
def test_labels_that_cannot_be_read_are_told(tmp_path: Path, name: str, content: str, why: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(TextError) as caught:
        read_labelled(tmp_path / name)
    assert why in str(caught.value)
