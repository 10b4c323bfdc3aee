"""overlap: on the report's two texts, on clean ones, and against comparing every pair."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bcecore.findings import collect
from bcecore.findings.of_study import Member
from bcecore.findings.overlap import Pair, find_overlap, overlap
from bcecore.store.runs import RunStore
from bcecore.text.near import grams, jaccard, words_of
from bcecore.text.reading import read_texts
from bcecore.text.splitting import identity

LINE = "The old bridge over the river was closed for the whole winter because of thick ice on it"


def test_all_of_the_report_s_small_validation_text_is_training_text(shared_data: Path) -> None:
    report = shared_data / "report"
    train = read_texts(report / "huggingface_turkish_english_sample.txt", "text")
    held_out = read_texts(report / "val_small.txt", "text")
    found = find_overlap(train, held_out)
    assert len(found.pairs) == found.documents == 29 and found.clean == ()
    (finding,) = overlap("report", found)
    assert finding.blocks
    assert (finding.numbers["overlapping"], finding.numbers["exact"], finding.numbers["clean"]) == (29, 29, 0)
    assert finding.sentence.startswith("Of 29 documents that check the model, 29 are in its training text (29 word")
    for pair in found.pairs:
        assert identity(train[pair.train]) == identity(held_out[pair.held_out]) and pair.exact


def test_a_real_run_with_lines_set_aside_is_silent(trained: tuple[Path, tuple[Member, ...]]) -> None:
    train, held_out = collect.texts(RunStore(trained[0]), trained[1][0].run)
    assert len(held_out) > 30
    found = find_overlap(train, held_out)
    assert overlap("run", found) == [] and len(found.clean) == len(held_out)


def test_the_same_is_what_only_looks_different() -> None:
    train = [LINE, "Kapı açık.", "Yes, a war."]
    held_out = [f"  {LINE.upper()}!! ", "KAPI  AÇIK", "ﬁne", "yes - a WAR", "Yes, a warning."]
    found = find_overlap(train, held_out)
    assert found.pairs == (Pair(0, 0, 1.0, True), Pair(1, 1, 1.0, True), Pair(3, 2, 1.0, True))
    assert found.clean == (2, 4)


def test_nearly_the_same_is_four_fifths_of_all_runs_of_five_words() -> None:
    # 18 words have 14 runs; of a text with one more word 14 of 15, without the last two 12 of 14, the last three 11.
    words = LINE.split()
    held_out = [LINE + " today", " ".join(words[:-2]), " ".join(words[:-3])]
    found = find_overlap([LINE, LINE], held_out)
    assert found.pairs == (Pair(0, 0, 14 / 15, False), Pair(1, 0, 12 / 14, False))
    # A change in the middle of a short text leaves little: it is another text.
    assert find_overlap(["one two three four five six"], ["one two three 4 five six"]).pairs == ()
    # A line that is the very same as one document can be nearly the same as another.
    both = find_overlap([LINE], [LINE, LINE + " today"])
    assert [pair.exact for pair in both.pairs] == [True, False]
    # Four fifths exactly: 4 of 5.
    exactly = find_overlap(["a b c d e f g h i"], ["a b c d e f g h"])
    assert [pair.jaccard for pair in exactly.pairs] == [0.8]


def test_scripts_without_spaces_are_compared_by_their_characters() -> None:
    chinese = "猫喜欢在温暖的阳光下睡觉而狗喜欢在花园里奔跑"
    assert len(words_of(chinese)) == len(chinese)
    found = find_overlap([chinese], [chinese + "吗", "今天的天气非常好我们一起去公园散步吧好不好呢"])
    assert [pair.held_out for pair in found.pairs] == [0] and not found.pairs[0].exact


def test_too_few_clean_documents_block_and_enough_warn() -> None:
    own = [f"line number {n} says that {n} and {n} are {2 * n} of course" for n in range(40)]
    few = overlap("run", find_overlap(own[:11], own))
    enough = overlap("run", find_overlap(own[:10], own))
    assert [finding.severity for finding in (*few, *enough)] == ["B", "W"]
    assert "29 remain that the model has not seen, fewer than 30." in few[0].sentence
    assert enough[0].sentence.endswith("30 remain that the model has not seen.")
    (unsure,) = overlap("run", replace(find_overlap(own[:10], own), complete=False))
    assert unsure.sentence.endswith("There may be more: not every line could be compared with every other.")


WORD = st.sampled_from("abcd")
TEXT = st.lists(WORD, max_size=14).map(" ".join)


@settings(max_examples=150)
@given(train=st.lists(TEXT, max_size=8), held_out=st.lists(TEXT, max_size=6))
def test_it_finds_what_comparing_every_pair_finds(train: list[str], held_out: list[str]) -> None:
    found = find_overlap(iter(train), held_out)
    for number, text in enumerate(held_out):
        same = [line for line, other in enumerate(train) if identity(other) == identity(text)]
        near = [jaccard(grams(words_of(text)), grams(words_of(other))) for other in train]
        pair = next((pair for pair in found.pairs if pair.held_out == number), None)
        if same:
            assert pair == Pair(number, same[0], 1.0, exact=True)
        elif pair is not None:
            assert pair.jaccard == near[pair.train] >= 0.8 and not pair.exact
        else:
            assert max(near, default=0) < 0.8


def test_planted_pairs_are_found_among_many_lines() -> None:
    chance = random.Random(5)
    words = [f"word{n}" for n in range(3000)]
    lines = [" ".join(chance.choices(words, k=chance.randint(8, 30))) for _ in range(3000)]
    documents = [" ".join(chance.choices(words, k=24)) for _ in range(200)]
    for number in range(0, 200, 2):  # 20 runs of five words; two more at the end make 20 of 22
        lines[7 * number + 3] = f"{documents[number]} and more"
    found = find_overlap(lines, documents)
    assert [(pair.held_out, pair.train) for pair in found.pairs] == [(n, 7 * n + 3) for n in range(0, 200, 2)]
    assert all(pair.jaccard == 20 / 22 for pair in found.pairs)


def test_a_text_without_near_duplicates_needs_no_more_libraries() -> None:
    program = (
        "import sys\nfrom bcecore.findings.overlap import find_overlap\n"
        "find_overlap(['one two three four five six'], ['seven eight nine ten eleven', 'one two three four five'])\n"
        "print(*({'scipy', 'datasketch', 'torch'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.split() == []
