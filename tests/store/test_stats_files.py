"""Stats files of a report's evaluation, as they stand; what they mean is tested where it is said."""

from __future__ import annotations

from pathlib import Path

from bcecore.store.stats_files import bucket_means, read_stats_file


def test_means_over_examples_and_what_a_trainer_logged(shared_data: Path) -> None:
    auto, small = read_stats_file(shared_data / "report" / "bce_eval_stats.json")
    assert (auto.name, auto.examples, auto.shows_all) == ("auto_val", 2, True)
    assert [row["text"] for row in auto.on.shown] == [
        "Translate to Turkish: God will help us.",
        "Translate to Turkish: Yes, a war with Germany.",
    ]
    # 29 is nowhere in the file: its length buckets, with one long example, allow no other number.
    assert (small.name, small.examples, small.shows_all) == ("val_small", 29, False)
    assert (small.on.weight, small.off.weight) == (0.44, 0.4)
    assert bucket_means(auto.on) == (auto.on.values["mean_ce"], None)
    (wikitext,) = read_stats_file(shared_data / "report" / "wikitext_eval_stats.json")
    assert (wikitext.has_means, wikitext.examples, wikitext.on.weight, wikitext.on.shown) == (False, 3760, None, ())
    assert wikitext.where == "“wikitext2” in wikitext_eval_stats.json"
