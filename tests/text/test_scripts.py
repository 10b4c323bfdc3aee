"""Which scripts a text is in."""

from __future__ import annotations

from bcecore.text.scripts import letters_by_script, script_of


def test_letters_are_counted_by_their_script() -> None:
    assert letters_by_script(["Ağaç 12!", "дом", "猫と犬", "سلام"]) == {
        "Latin": 4,
        "Arabic": 4,
        "Cyrillic": 3,
        "Han (Chinese characters)": 2,
        "Hiragana": 1,
    }
    assert letters_by_script(["12 … 😀"]) == {}


def test_forms_of_a_letter_are_that_letter() -> None:
    assert {script_of(letter) for letter in ("a", "Ａ", "ﬁ", "𝐀", "ª")} == {"Latin"}
    assert script_of("ʰ") == "Latin"
    assert [script_of(letter) for letter in ("가", "न", "Ω", "ﾊ", "1", " ")] == [
        "Hangul", "Devanagari", "Greek", "Katakana", None, None
    ]  # fmt: skip
