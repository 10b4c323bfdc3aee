"""Which pieces of text go through the model together. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group the positions of pieces by length, at most `budget` tokens a batch with padding, at least one piece each.

    Neighbours in length go together, so that little is padded; the longest come first, so that a batch that does not
    fit into memory is met at once. Pieces of one length keep their order.
    """
    order = sorted(range(len(lengths)), key=lambda position: -lengths[position])
    found: list[list[int]] = []
    for position in order:
        # The first of a batch is its longest.
        if found and (len(found[-1]) + 1) * lengths[found[-1][0]] <= budget:
            found[-1].append(position)
        else:
            found.append([position])
    return found
