"""scored-twice: two sides are one model where every text agrees in every digit."""

from __future__ import annotations

from bcecore.findings.scored_twice import scored_twice

CE = [2.5, 0.25, 3.125]


def test_every_text_is_equal() -> None:
    (found,) = scored_twice("run/evaluation", CE, list(CE), "“val_small”")
    assert (found.id, found.severity) == ("scored-twice", "W") and found.numbers == {"texts": 3, "where": "“val_small”"}
    assert "all 3 texts have the same CE" in found.sentence and "cannot say whether BCE helped" in found.sentence
    assert scored_twice("s", CE, CE, severity="N")[0].severity == "N"
    assert "the text has" in scored_twice("s", [1.0], [1.0])[0].sentence


def test_silence() -> None:
    assert scored_twice("s", CE, [2.5, 0.25, 3.1250000000000004]) == []
    assert scored_twice("s", [], []) == []
    assert scored_twice("s", CE, CE[:2]) == []
    assert scored_twice("s", [float("nan")], [float("nan")]) == []
