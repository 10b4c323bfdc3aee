"""Reading texts, and their labels, out of .txt, .jsonl, .csv and .parquet files.

A file that is not what it should be gets a clear sentence that says what and where.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bcecore.config import SAMPLE_TEXT
from bcecore.errors import TextError
from bcecore.files import expanded

SUFFIXES = (".txt", ".jsonl", ".csv", ".parquet")
# A longer "line" is a file without line breaks (minified JSON, a dump), not an example; it is also more than any
# model reads, and a reader without this limit would hold the whole file in memory.
MAX_LINE_CHARACTERS = 1_000_000
_SNIFFED_BYTES = 8192

_SAMPLES = Path(__file__).parent.parent / "samples"
SAMPLE_TRAIN_FILE = _SAMPLES / "turkish_english_train.txt"
SAMPLE_VALIDATION_FILE = _SAMPLES / "turkish_english_validation.txt"


def text_path(name: str, *, validation: bool = False) -> Path:
    """The file that a `train_file` or `validation_file` setting means; 'sample' is the text that comes along."""
    if name == SAMPLE_TEXT:
        return SAMPLE_VALIDATION_FILE if validation else SAMPLE_TRAIN_FILE
    return expanded(name)


def read_texts(path: Path, column: str = "text") -> list[str]:
    """The non-empty texts of a file, stripped of surrounding white space, in order.

    `column` names the column (or JSON key) and is ignored for .txt. Raises TextError for anything that is not a
    readable text file; the message says what and where.
    """
    return [text for text in read_rows(path, column) if text]


def read_rows(path: Path, column: str = "text") -> list[str]:
    """Like `read_texts`, but a row without text is there too, as an empty string."""
    texts = [text.strip() for text in _read(path, _Column(column))]
    if not any(texts):
        raise TextError(f"{path.name} has no text in it, only empty lines. Use a file with at least two lines of text.")
    return texts


def read_labelled(path: Path, text_column: str = "text", label_column: str = "label") -> list[tuple[str, str]]:
    """The texts of a file and their labels, stripped, in order; an empty string where one is missing.

    A label may also be a whole number or true or false. Raises TextError as `read_texts`, for a .txt file, which has
    no labels, and for one in which no row has one.
    """
    if path.suffix.lower() == ".txt":
        raise TextError(
            f"{path.name} holds texts only. Labels take a file with columns: .csv, .jsonl or .parquet, one column for "
            "the text and one for the label."
        )
    texts = read_rows(path, text_column)
    labels = [label.strip() for label in _read(path, _Column(label_column, is_label=True))]
    if not any(labels):
        raise TextError(
            f"No row of {path.name} has a label in the column '{label_column}'. Name the column with the labels.",
            field="data.column",
        )
    return list(zip(texts, labels, strict=True))


@dataclass(frozen=True)
class _Column:
    """What is read out of every row."""

    name: str
    is_label: bool = False
    """A label is missing in some rows, and may be a number; a text is neither."""


_Reader = Callable[[IO[str], Path, _Column], Iterator[str]]


def _read(path: Path, column: _Column) -> list[str]:
    """What the column of a file holds, row by row; empty for a row that holds nothing there."""
    suffix = path.suffix.lower()
    try:
        if path.is_dir():
            raise TextError(f"{path} is a folder. Name a file in it.")
        if suffix not in SUFFIXES:
            raise TextError(f"{path.name} is not a kind of file that can be read. Use one of {', '.join(SUFFIXES)}.")
        if not path.exists():
            raise TextError(f"There is no file {path}. Check the name and the folder.")
        if path.stat().st_size == 0:
            raise TextError(f"{path.name} is empty. Use a file with at least two lines of text.")
        return _read_parquet(path, column) if suffix == ".parquet" else _read_text_file(path, _READERS[suffix], column)
    except OSError as error:
        raise TextError(f"{path} could not be read: {error.strerror or error}.") from error


def _read_text_file(path: Path, reader: _Reader, column: _Column) -> list[str]:
    with path.open("rb") as file:
        if b"\0" in file.read(_SNIFFED_BYTES):
            raise TextError(
                f"{path.name} is not a text file (it holds binary data). Save it as plain text in UTF-8 and try again."
            )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(reader(file, path, column))
    except UnicodeDecodeError as error:
        raise TextError(
            f"{path.name} is not in UTF-8: byte {error.object[error.start]:#04x} does not fit"
            f"{_line_of(path, error)}. Save it as UTF-8 (in most editors: Save as, encoding UTF-8) and try again."
        ) from error


def _line_of(path: Path, error: UnicodeDecodeError) -> str:
    """Where the byte that does not fit stands, in words; the decoder's own position is only within its last chunk."""
    bad = error.object[error.start : error.start + 1]
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if bad not in line:
                continue
            try:
                line.decode()
            except UnicodeDecodeError:
                return f" in line {number:,}"
    return ""


def _lines(file: IO[str], path: Path) -> Iterator[tuple[int, str]]:
    number = 0
    while line := file.readline(MAX_LINE_CHARACTERS + len("\r\n")):
        number += 1
        line = line.rstrip("\r\n")
        if len(line) > MAX_LINE_CHARACTERS:
            raise TextError(
                f"Line {number:,} of {path.name} is longer than {MAX_LINE_CHARACTERS:,} characters. "
                "Each line is one example: put line breaks between the examples."
            )
        yield number, line


def _read_txt(file: IO[str], path: Path, _column: _Column) -> Iterator[str]:
    for _, line in _lines(file, path):
        yield line


def _read_jsonl(file: IO[str], path: Path, column: _Column) -> Iterator[str]:
    for number, line in _lines(file, path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TextError(
                f"Line {number:,} of {path.name} is not JSON ({error}). Every line has to be one JSON object."
            ) from error
        if not isinstance(row, dict):
            raise TextError(
                f"Line {number:,} of {path.name} is not a JSON object. Every line has to be one, "
                f'{{"{column.name}": ...}}.'
            )
        if column.name not in row and not column.is_label:
            raise TextError(_no_column(path, column, ", ".join(row), f"line {number:,}"), field="data.column")
        yield _as_text(row.get(column.name), path, number, column)


def _read_csv(file: IO[str], path: Path, column: _Column) -> Iterator[str]:
    csv.field_size_limit(MAX_LINE_CHARACTERS)
    try:
        # Strict, or a quotation mark that is never closed makes one text of all the lines behind it.
        reader = csv.DictReader(file, strict=True)
        header = reader.fieldnames or []
        if column.name not in header:
            raise TextError(_no_column(path, column, ", ".join(header), "its first line"), field="data.column")
        for row in reader:
            if any(row.get(None) or ()):
                raise TextError(
                    f"Line {reader.line_num:,} of {path.name} has more fields than the first line has names. "
                    "Quote texts that hold commas."
                )
            yield _as_text(row[column.name], path, reader.line_num, column)
    except csv.Error as error:
        raise TextError(
            f"{path.name} is not a well-formed CSV file near line {reader.line_num + 1:,} ({error}). "
            "Quote texts that hold commas or line breaks, and write a quotation mark in them twice; a text has at most "
            f"{MAX_LINE_CHARACTERS:,} characters."
        ) from error


def _read_parquet(path: Path, column: _Column) -> list[str]:
    # Imported here: pyarrow.parquet takes 0.2 s, and most texts are plain.
    import pyarrow
    import pyarrow.parquet

    try:
        names = pyarrow.parquet.read_schema(path).names
        if column.name not in names:
            raise TextError(_no_column(path, column, ", ".join(names), "the file"), field="data.column")
        if names.count(column.name) > 1:
            raise TextError(f"{path.name} has several columns '{column.name}'. Name another one.", field="data.column")
        values = pyarrow.parquet.read_table(path, columns=[column.name]).column(column.name).to_pylist()
    except pyarrow.ArrowException as error:
        raise TextError(f"{path.name} is not a readable Parquet file: {error}") from error
    return [_as_text(value, path, number, column) for number, value in enumerate(values, start=1)]


def _as_text(value: object, path: Path, number: int, column: _Column) -> str:
    if value is None:
        return ""
    if column.is_label:
        value = _label_as_text(value)
    if not isinstance(value, str):
        what = "label" if column.is_label else "text"
        raise TextError(
            f"Row {number:,} of {path.name} holds {value!r} where a {what} was expected. "
            f"Name the column with the {what}s.",
            field="data.column",
        )
    if len(value) > MAX_LINE_CHARACTERS:
        raise TextError(
            f"Row {number:,} of {path.name} is longer than {MAX_LINE_CHARACTERS:,} characters. "
            "Each row is one example: divide it."
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise TextError(
            f"Row {number:,} of {path.name} holds half a character ({value[error.start]!a}) at position "
            f"{error.start + 1:,}, which is no text. Write the whole character."
        ) from error
    return value


def _label_as_text(value: object) -> object:
    """A number that stands for a class, as text; anything else as it is."""
    if isinstance(value, bool):
        return str(value).lower()
    # In tables a whole number becomes a fraction where labels are missing in other rows.
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return "" if value != value else value


def _no_column(path: Path, column: _Column, found: str, where: str) -> str:
    return f"{path.name} has no column '{column.name}': {where} has {found or 'no columns'}. Name one of those."


_READERS = {".txt": _read_txt, ".jsonl": _read_jsonl, ".csv": _read_csv}
