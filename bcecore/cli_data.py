"""The command `data`: what is in a text file, what of another file is in it, and a clean split of it."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bcecore.cli_runs import json_text
from bcecore.errors import ConfigError, Problem
from bcecore.files import expanded

if TYPE_CHECKING:
    from bcecore.jobs.looking import Written
    from bcecore.text.looking import Between, Line, Look

_EXAMPLES = 10
_SHOWN = 100


def add_command(commands: Any) -> None:
    """Add `data` to the command line's parser."""
    about = "look at a text file: counts, lengths, copies, overlap with another one; and divide it cleanly"
    parser = commands.add_parser("data", help=about, description=about)
    parser.add_argument("file", metavar="FILE", help="the text (.txt, .jsonl, .csv, .parquet), to learn from")
    parser.add_argument("--against", metavar="FILE", help="a text to check on: which of its lines are in FILE?")
    parser.add_argument(
        "--split",
        type=Path,
        metavar="DIR",
        help="write clean files there: FILE divided in two, or with --against FILE without what is in the other",
    )
    parser.add_argument("--once", action="store_true", help="with --split: FILE without copies, in one file")
    parser.add_argument("--fraction", type=float, default=0.1, metavar="X", help="share set aside (default: 0.1)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another one sets other lines aside")
    parser.add_argument("--column", default="text", metavar="NAME", help="column with the text (default: text)")
    parser.add_argument("--block-size", type=int, default=128, metavar="N", help="longer lines count as cut")
    parser.add_argument("--tokenizer", metavar="DIR", help="folder of a tokenizer (default: learnt from the text)")
    parser.add_argument(
        "--min-characters", type=int, default=1, metavar="N", help="the filter leaves out shorter lines"
    )
    parser.add_argument("--max-repeated-share", type=float, default=1.0, metavar="X", help="of one character in a line")
    parser.add_argument("--max-symbol-share", type=float, default=1.0, metavar="X", help="of symbols in a line")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_data)


def _data(arguments: argparse.Namespace) -> int:
    from bcecore.jobs.looking import Cleaned, find_out
    from bcecore.settings import parse_config
    from bcecore.text.looking import compare, look

    if not 0 < arguments.fraction <= 0.5:
        raise ConfigError([Problem("--fraction", arguments.fraction, "a share is more than 0 and at most 0.5.")])
    names = ("column", "block_size", "min_characters", "max_repeated_share", "max_symbol_share")
    data = parse_config({"data": {name: getattr(arguments, name) for name in names}}).data
    path = expanded(arguments.file)
    against = None if arguments.against is None else expanded(arguments.against)
    tokenizer = None if arguments.tokenizer is None else expanded(arguments.tokenizer)
    found = look(path, data, tokenizer_folder=tokenizer)
    between = None if against is None else compare(path, against, data.column)
    written = None
    if arguments.split is not None:
        written = find_out(
            Cleaned(
                path=path,
                how="once" if arguments.once else "split" if against is None else "without",
                held_out=against,
                column=data.column,
                fraction=arguments.fraction,
                seed=arguments.seed,
                directory=arguments.split,
                stem=path.stem,
            )
        )
    if arguments.json:
        parts = {"file": found, "against": between, "written": written}
        print(json_text({name: part and part.model_dump(mode="json") for name, part in parts.items()}))
        return 0
    _say(found)
    if between is not None:
        _say_between(between)
    if written is not None:
        _say_written(written)  # type: ignore[arg-type]
    return 0


def _say(found: Look) -> None:
    from bcecore.report.facts import DROPPED_WORDS

    letters = sum(found.scripts.values())
    facts = {
        "Lines": f"{found.lines:,} with text, {found.rows - found.lines:,} empty",
        "Characters": f"{found.characters:,}",
        "Words": f"{found.words:,}",
        "Tokens": f"{found.tokens:,}, {found.unknown:,} of them unknown; half of the lines have at most "
        f"{math.floor(found.median_tokens)}, the longest {found.longest_tokens:,}",
        "Cut": f"{found.cut:,} lines at {found.block_size:,} tokens",
        "Copies": f"{found.exact_copies:,} word for word, {found.near_copies:,} nearly",
        "Scripts": ", ".join(f"{name} {100 * n / letters:.3g} %" for name, n in found.scripts.items()) or "no letters",
        "Left out": ", ".join(f"{part.lines:,} {DROPPED_WORDS[part.reason]}" for part in found.left_out) or "none",
    }
    for name, value in facts.items():
        print(f"  {name:<12} {value}")
    if not found.complete:
        print("  Not every line was compared with every other: there may be more near copies.")
    for copy in found.copies[:_EXAMPLES]:
        print(f"    row {copy.line.number:,} repeats row {copy.other.number:,}: {_short(copy.line)}")


def _say_between(found: Between) -> None:
    print(
        f"\n  Of {found.held_out_lines:,} lines to check on, {found.exact + found.near:,} are in the text to learn "
        f"from: {found.exact:,} word for word, {found.near:,} nearly. {found.clean:,} are clean."
    )
    for pair in found.pairs[:_EXAMPLES]:
        how = "is" if pair.exact else f"is nearly ({100 * pair.jaccard:.0f} %)"
        print(f"    row {pair.line.number:,} {how} row {pair.other.number:,}: {_short(pair.line)}")
    if len(found.pairs) > _EXAMPLES:
        print("    … more with --json")


def _say_written(written: Written) -> None:
    print(f"\n  {written.train}: {written.train_lines:,} lines")
    if written.held_out is not None:
        print(f"  {written.held_out}: {written.held_out_lines:,} lines")
    if written.left_out:
        print(f"  left out: {written.left_out:,} lines")


def _short(line: Line) -> str:
    return line.text if len(line.text) <= _SHOWN else f"{line.text[:_SHOWN]}…"
