"""few-drivers (W): a difference that is told apart from 0 hangs on a handful of documents. Pure."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bcecore.findings.finding import Finding, counted

SHARE_OF_DOCUMENTS = 0.05
SHARE_OF_DIFFERENCE = 0.5
_FEWEST = 20
"""Below this, 5 % are not even one document; `too-small` speaks of that."""


def few_drivers(subject: str, totals: npt.ArrayLike, low: float, high: float, where: str = "") -> list[Finding]:
    """The finding about a difference, if there is one.

    `totals` is what each document adds to it, (D,) in nats over the document (second side − first, the mean over seeds
    where there are several); `low` to `high` its interval, and `where` names the text: `“val_small”`.

    Fires when the interval leaves out 0 and the 5 % of the documents that moved most, to either side, sum up to more
    than half of the difference. To either side, because counted in the direction of the difference alone they carry
    half of it in any large text where it is small beside the scatter: of 200 documents that scatter evenly around a
    difference of three standard errors, the 10 that moved most to its side carry 0.52 of it on average, the 10 that
    moved most to either side 0.26, and the rule fires in 4 % of such cases (simulated; 0.1 % at six standard errors).
    """
    values = np.asarray(totals, dtype=np.float64)
    documents = len(values)
    if documents < _FEWEST or not np.isfinite(values).all() or not (low > 0 or high < 0):
        return []
    whole = float(values.sum())
    few = math.floor(SHARE_OF_DOCUMENTS * documents)
    chosen = np.argsort(-np.abs(values), kind="stable")[:few]
    share = float(values[chosen].sum()) / whole if whole else 0.0
    if share <= SHARE_OF_DIFFERENCE:
        return []
    place = f" on {where}" if where else ""
    return [
        Finding(
            id="few-drivers",
            severity="W",
            subject=subject,
            numbers={
                "documents": documents,
                "few": few,
                "share": share,
                "places": [int(place) for place in chosen],
                "interval": [low, high],
            },
            sentence=(
                f"{counted(few, 'document').capitalize()} of {documents:,} {'makes' if few == 1 else 'make'} "
                f"{_carried(share)} the difference{place}: it says more about them than about the text as a whole."
            ),
            what_to_do=(
                "Read the documents that changed most, and see whether the difference stays on a larger text of the "
                "same kind."
            ),
        )
    ]


def _carried(share: float) -> str:
    return f"{100 * share:.0f} % of" if share < 1 else "more than all of" if share > 1.005 else "all of"
