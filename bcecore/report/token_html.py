"""An example with its tokens coloured by their loss, as HTML that is safe to show. Pure.

The colours are one hue over whatever lies behind, stronger with the loss, so that they suit the light and the dark
theme and every kind of colour vision; the harder levels are underlined as well, ever more heavily, so that colour is
never alone. Every token says its chance when pointed at, and the whole is described for those who hear it;
`evaluation_tables.token_table` has the same as a table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from bcecore.report.words import count

LIMIT = 2_000
"""Tokens shown of one text; a browser grows slow with many more elements."""
_HARDEST = 5
_HUE = "230,159,0"  # orange, after Okabe and Ito; not one of those that mean BCE on or off


@dataclass(frozen=True)
class Level:
    """One step of the scale."""

    from_nats: float
    """Tokens with at least this loss."""
    words: str
    """The chance that the model gave such a token."""
    alpha: float
    """How strongly its background is coloured, 0 to 1."""
    underline: str
    """Its underline, as CSS."""


LEVELS = (
    Level(0.0, "over 50 %", 0.0, ""),
    Level(math.log(2), "10 to 50 %", 0.14, ""),
    Level(math.log(10), "1 to 10 %", 0.28, "1px dotted"),
    Level(math.log(100), "0.1 to 1 %", 0.42, "2px solid"),
    Level(math.log(1000), "under 0.1 %", 0.56, "4px double"),
)
"""From what the model expected to what surprised it."""


def level_of(nats: float) -> Level:
    """The level of a token's loss; one that is not a number has the highest."""
    return next((level for level in reversed(LEVELS) if nats >= level.from_nats), LEVELS[0 if nats < 0 else -1])


@dataclass(frozen=True)
class Span:
    """A piece of the text and the losses of the tokens that it stands for; none, where nothing was predicted."""

    text: str
    nats: tuple[float, ...] = ()

    @property
    def loss(self) -> float:
        """The sum of its tokens' losses, nats."""
        return math.fsum(self.nats) if all(map(math.isfinite, self.nats)) else math.nan


def spans(text: str, starts: Sequence[int], ends: Sequence[int], nats: Sequence[float]) -> list[Span]:
    """The text in pieces, from the predicted tokens' character offsets and losses; together they are the whole text.

    Several tokens of one character (the bytes of a rare one) share a piece. A token that stands for no characters, like
    the mark at the end, has an empty piece where it comes. Raises ValueError for offsets that do not fit the text.
    """
    if not len(starts) == len(ends) == len(nats):
        raise ValueError(f"as many starts and ends as losses, got {len(starts)}, {len(ends)} and {len(nats)}")
    found: list[Span] = []
    done = 0
    for start, end, loss in zip(starts, ends, nats, strict=True):
        start, end, loss = int(start), int(end), float(loss)
        if not 0 <= start <= end <= len(text):
            raise ValueError(f"a token at characters {start} to {end} of a text of {len(text)}")
        if start == end:
            found.append(Span("", (loss,)))
            continue
        if start < done and end <= done and found and found[-1].text:
            found[-1] = Span(found[-1].text, (*found[-1].nats, loss))
            continue
        start = max(start, done)  # a piece that two tokens claim stays with the first
        if start > done:
            found.append(Span(text[done:start]))
        found.append(Span(text[start:end], (loss,)))
        done = max(done, end)
    if done < len(text):
        found.append(Span(text[done:]))
    return found


def tokens_html(
    text: str, starts: Sequence[int], ends: Sequence[int], nats: Sequence[float], *, limit: int = LIMIT
) -> str:
    """The text with every predicted token on the background of its level, at most `limit` of them, and a description.

    What was not predicted (the first token, what was cut off) is plain. Raises ValueError as `spans` does.
    """
    shown = min(limit, len(nats))
    pieces = spans(text, starts[:shown], ends[:shown], nats[:shown])
    rest = ""
    if shown < len(nats):
        if pieces and not pieces[-1].nats:
            pieces.pop()  # the remainder, which the limit leaves out
        rest = f"<em> … the first {shown:,} of {count(len(nats), 'token')}</em>"
    body = "".join(_piece(piece) for piece in pieces)
    description = _escaped(" ".join(_described(pieces, nats)))
    return (
        f'<div role="group" aria-label="{description}" dir="auto" '
        f'style="white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.9">{body}{rest}</div>'
    )


def legend_html() -> str:
    """What the colours mean."""
    items = "".join(
        f'<li style="display:inline-block;margin:0 .75em .25em 0"><span style="{_style(level)}">{escape(level.words)}'
        "</span></li>"
        for level in LEVELS
    )
    return (
        "<div>The chance that the model gave each token: "
        f'<ul aria-label="Colours" style="display:inline;list-style:none;padding:0;margin:0">{items}</ul></div>'
    )


def _piece(piece: Span) -> str:
    text = _escaped(piece.text)
    if not piece.nats:
        return text
    shown = text if piece.text else '<span role="img" aria-label="a mark without text">▪</span>'
    return f'<span title="{_escaped(_chance(piece))}" style="{_style(level_of(piece.loss))}">{shown}</span>'


def _escaped(text: str) -> str:
    # A text may hold half a character (a lone surrogate), which cannot be sent to a browser.
    return escape(text.encode(errors="replace").decode(), quote=True)


def _style(level: Level) -> str:
    # Only the background is set: the letters keep the theme's own colour, which stays readable on it.
    style = f"background:rgba({_HUE},{level.alpha:g});border-radius:.2em;padding:.1em 0"
    return f"{style};border-bottom:{level.underline} currentColor" if level.underline else style


def _chance(piece: Span) -> str:
    loss = piece.loss
    if not math.isfinite(loss):
        return "its loss is not a number"
    words = f"{loss:.2f} nats, a chance of {_percent(math.exp(-max(loss, 0.0)))}"
    return words if len(piece.nats) == 1 else f"{words} ({len(piece.nats)} tokens together)"


def _percent(share: float) -> str:
    value = 100 * share
    if value >= 99.95:
        return "nearly 100 %" if share < 1 else "100 %"
    return f"{value:.1f} %" if value >= 0.95 else f"{value:.2g} %" if value >= 0.001 else "under 0.001 %"


def _described(pieces: Sequence[Span], nats: Sequence[float]) -> Iterator[str]:
    yield f"{count(len(nats), 'predicted token')} coloured by their loss."
    if not len(nats):
        return
    mean = math.fsum(map(float, nats)) / len(nats)
    yield f"Mean loss {mean:.2f} nats." if math.isfinite(mean) else "The loss of some tokens is not a number."
    scored = [piece for piece in pieces if piece.nats and piece.text.strip() and math.isfinite(piece.loss)]
    hardest = sorted(scored, key=lambda piece: -piece.loss)[:_HARDEST]
    if hardest:
        listed = ", ".join(f"“{piece.text.strip()}” {piece.loss:.2f}" for piece in hardest)
        yield f"Hardest: {listed}."
