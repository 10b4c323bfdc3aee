import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bcecore.report.document import Code, Document, Item, Items, Paragraph, Picture, Section, Table
from bcecore.report.markdown import as_markdown, escaped

READER = MarkdownIt("commonmark").enable("table")


def document(*blocks: object, title: str = "A run") -> Document:
    return Document(title, "A lead.", (Section("Part", tuple(blocks)),))  # type: ignore[arg-type]


def test_a_document() -> None:
    table = Table("Facts", ("Item", "Value"), (("Model", "a | b"), ("Steps", "2,000")), "A note.")
    found = as_markdown(
        document(
            Paragraph("Words."), table, Items((Item("Do it.", title="Next", command="python -m x"),)), Code("a", "b")
        )
    )
    assert found == (
        "# A run\n\nA lead.\n\n## Part\n\nWords.\n\n**Facts**\n\n| Item | Value |\n| --- | --- |\n"
        "| Model | a \\| b |\n| Steps | 2,000 |\n\nA note.\n\n- **Next.** Do it. `python -m x`\n\n```b\na\n```\n"
    )


def test_a_table_that_is_named_like_its_section_is_named_once() -> None:
    assert as_markdown(document(Table("Part", ("a",), ()))).count("Part") == 1


def test_charts_are_named_and_found_in_the_page() -> None:
    found = as_markdown(document(Picture("Loss", "<svg/>", "Loss by step")))
    assert "- Loss: Loss by step" in found
    assert "`report.html`" in found
    assert "<svg" not in found


def test_what_follows_charts_is_no_part_of_their_list() -> None:
    chart = Picture("Loss", "<svg/>", "Loss by step")
    found = as_markdown(document(chart, chart, Paragraph("Words.")))
    line = "- Loss: Loss by step\n"
    assert f"{line}{line}\nWords.\n\nThey are drawn" in found
    tokens = READER.parse(as_markdown(document(chart)))
    assert tokens[-1].type == "paragraph_close" and tokens[-3].level == 0


def test_code_keeps_its_backticks() -> None:
    assert "````\n```\n````" in as_markdown(document(Code("```")))


@given(text=st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=60))
def test_nothing_in_a_text_is_markup(text: str) -> None:
    shown = READER.parseInline(escaped(f"x{text}x"))[0].children or []
    assert {token.type for token in shown} <= {"text", "softbreak", "text_special"}
    assert "".join(token.content for token in shown) == " ".join(f"x{text}x".split())


@pytest.mark.parametrize("text", ["# no title", "- no list", "1. no list", "> no quote", "+ x", "    no code", "---"])
def test_nothing_begins_a_block(text: str) -> None:
    tokens = READER.parse(as_markdown(document(Paragraph(text))))
    opened = [token.type for token in tokens if token.type.endswith("_open")]
    assert opened == ["heading_open", "paragraph_open"] * 2


def test_names_of_files_stay_readable() -> None:
    assert escaped("huggingface_turkish_english_sample.txt") == "huggingface_turkish_english_sample.txt"
    assert escaped(":red[x] :smile: at 14:03") == "\\:red\\[x\\] \\:smile: at 14:03"
    assert re.fullmatch(r"a\\_", escaped("a_"))
