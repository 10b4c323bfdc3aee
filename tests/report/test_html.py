from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from bcecore.report.document import Code, Document, Item, Items, Paragraph, Picture, Section, Table
from bcecore.report.html import as_html

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" class="marks" width="800" height="300" viewBox="0 0 800 300">'
    '<rect width="800" height="300" fill="#ffffff"/><g clip-path="url(#clip1)"><text>A</text></g>'
    '<defs><clipPath id="clip1"><rect/></clipPath></defs></svg>'
)


class Reader(HTMLParser):
    """Which elements a page has, with what attributes, and its text."""

    EMPTY = frozenset({"meta", "rect"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(*blocks: object, title: str = "A run") -> Reader:
    return Reader(as_html(Document(title, "A lead.", (Section("Part", tuple(blocks)),))))  # type: ignore[arg-type]


def test_a_document_needs_nothing_from_elsewhere() -> None:
    found = page(Paragraph("Words."), Picture("Loss", SVG, "Loss by step"), Code("x"))
    assert not found.all("script") and not found.all("link") and not found.all("img")
    for _, attributes in found.elements:
        assert not {"src", "srcset", "data"} & set(attributes)
        assert str(attributes.get("href", "#")).startswith("#")
    assert found.all("html") == [{"lang": "en"}]
    assert "prefers-color-scheme: dark" in found.text
    assert "@media print" in found.text


def test_tables_have_captions_and_headers() -> None:
    found = page(Table("Facts", ("Item", "Value"), (("Model", "tiny"),), "A note."))
    assert len(found.all("caption")) == 1
    assert [each["scope"] for each in found.all("th")] == ["col", "col", "row"]
    assert len(found.all("td")) == 1
    assert found.all("div")[0]["aria-label"] == "Facts"


def test_pictures_say_what_they_are_and_keep_their_names_apart() -> None:
    found = page(Picture("Loss", SVG, 'Loss by "step"', "About."), Picture("Rate", SVG, "Rate"))
    first, second = found.all("svg")
    assert first["role"] == "img"
    assert first["aria-label"] == 'Loss by "step"'
    assert "width" not in first and first["viewbox"] == "0 0 800 300"
    assert second["aria-label"] == "Rate"
    assert [each["id"] for each in found.all("clippath")] == ["c1-clip1", "c2-clip1"]
    assert [each["clip-path"] for each in found.all("g")] == ["url(#c1-clip1)", "url(#c2-clip1)"]


@given(text=st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=40))
def test_texts_are_only_texts(text: str) -> None:
    evil = f"<script>alert(1)</script>{text}"
    found = page(
        Paragraph(evil),
        Items((Item(evil, title=evil, command=evil),)),
        Table(evil, (evil, "b"), ((evil, evil),), evil),
        Code(evil),
        title=evil,
    )
    assert not found.all("script")
    assert found.text.count("<script>alert(1)</script>") == 12  # each where it belongs, the title twice
