"""The sentences and figures of the Data page. Pure."""

from __future__ import annotations

from bcecore.text.looking import Between, Look, Twice
from bcecore.ui.words import count, number, percent


def overlap_words(found: Between) -> str:
    """How much of a text to check on is in the text to learn from."""
    lines, both = found.held_out_lines, found.exact + found.near
    if not both:
        unsure = "" if found.complete else " Not every line could be compared with every other, though."
        return f"**None of the {lines:,} checking lines is in the text to learn from.**{unsure}"
    if both == lines:
        start = f"All {lines:,} checking lines are" if lines > 1 else "The checking line is"
    else:
        start = f"{both:,} of the {lines:,} checking lines {'is' if both == 1 else 'are'}"
    parts = [f"{n:,} {how}" for n, how in ((found.exact, "word for word"), (found.near, "nearly")) if n]
    return (
        f"**{start} in the text to learn from** ({' and '.join(parts)}). On those, the result shows memory, not "
        "learning."
    )


def copies_words(look: Look) -> str:
    """How much is there more than once."""
    copies = look.exact_copies + look.near_copies
    words = (
        f"**{copies:,} of the {look.lines:,} lines repeat an earlier one** ({share(copies, look.lines)}). What is "
        "there often is learnt by heart."
    )
    if look.most_frequent is not None and look.most_frequent[1] > 2:
        line, times = look.most_frequent
        words += f" Line {line.number:,} is there {times:,} times."
    return words


def figures(look: Look) -> list[tuple[str, str, str]]:
    """The figures at the top: what they are called, what they are, and what that means."""
    copies = look.exact_copies + look.near_copies
    empty = f", besides {look.rows - look.lines:,} empty ones" if look.rows > look.lines else ""
    learnt = "a vocabulary learnt from this text" if look.learnt else "the tokenizer that you chose"
    return [
        ("Lines", f"{look.lines:,}", f"Rows with text in them{empty}. Each is one example."),
        ("Words", number(look.words), f"Stretches between spaces. {count(look.characters, 'character')}."),
        ("Tokens", number(look.tokens), f"Pieces that the model reads, with {learnt} of {look.vocabulary:,}."),
        (
            f"Cut at {look.block_size:,} tokens",
            f"{look.cut:,}",
            f"Lines that are longer than what the model reads. {count(look.cut_tokens, 'token')} would not be read.",
        ),
        ("Copies", share(copies, look.lines), f"{count(copies, 'line')} the same as an earlier one, or nearly."),
        (
            "Unknown tokens",
            share(look.unknown, look.tokens),
            "Pieces that the tokenizer does not know: the model cannot tell one from another. A vocabulary that was "
            "learnt from the text knows all of it.",
        ),
    ]


def share(part: int, whole: int) -> str:
    """A part of a whole as a percentage; 0 of nothing."""
    return percent(part / whole if whole else 0.0)


def alike(pair: Twice) -> str:
    """How alike two lines are."""
    return "word for word" if pair.exact else f"nearly ({percent(pair.jaccard)})"
