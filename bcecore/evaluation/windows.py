"""Which tokens of a long text are read together, so that each is predicted exactly once. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Window(NamedTuple):
    """Tokens `begin` to `end` (exclusive) are read at once, and those from `first` on are scored."""

    begin: int
    end: int
    first: int


def windows(length: int, block_size: int, stride: int | None) -> list[Window]:
    """How a text of `length` tokens is read in pieces of at most `block_size`.

    Each token but the text's first is scored in exactly one window, and sees at least `block_size - stride` tokens
    before it, or all there are. Every window of a long text is full: the last begins earlier rather than being short,
    so that its tokens see no less than others. Without a stride the text has to fit. Raises ValueError for a text of
    fewer than two tokens, or a stride with which a token would be scored without context.
    """
    if length < 2:
        raise ValueError(f"a text needs two tokens for one to be predicted, got {length}")
    if length <= block_size:
        return [Window(0, length, 1)]
    if stride is None:
        raise ValueError(f"{length} tokens do not fit into {block_size}, and no stride says how to divide them")
    if not 1 <= stride < block_size:
        raise ValueError(f"the stride has to lie between 1 and {block_size - 1}, got {stride}")
    found = [Window(0, block_size, 1)]
    while found[-1].end < length:
        scored = found[-1].end
        end = min(scored + stride, length)
        found.append(Window(end - block_size, end, scored))
    return found
