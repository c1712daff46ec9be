"""The pages in docs/ru say what the English ones say: neither can change without the other."""

import re
from pathlib import Path

import pytest

from tests.docs.languages import Page, find_english, find_link_line, find_russian
from tests.support.processes import PROJECT

RUSSIAN = sorted((PROJECT / "docs" / "ru").glob("*.md"))
TRANSLATED = pytest.mark.parametrize("russian", RUSSIAN, ids=lambda path: path.stem)
EVERY_PAGE = [*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")]


def read_both(russian: Path) -> tuple[Page, Page]:
    """Return the Russian page and the English one."""
    return Page.read(russian), Page.read(find_english(russian))


@TRANSLATED
def test_each_page_links_the_other_language(russian: Path) -> None:
    """Under the title of both pages stands a link to the same page in the other language."""
    english = find_english(russian)

    assert find_link_line(russian) == f"[In English](../{english.name})"
    assert find_link_line(english) == f"[По-русски](ru/{russian.name})"


@TRANSLATED
def test_the_headings_are_the_same(russian: Path) -> None:
    """Both pages have as many headings, of the same levels, in the same order."""
    page, english = read_both(russian)

    assert [part.level for part in page.parts] == [part.level for part in english.parts]


@TRANSLATED
def test_the_code_is_the_same(russian: Path) -> None:
    """Each part has the same blocks of code, equal in every character, comments included."""
    page, english = read_both(russian)

    assert [part.blocks for part in page.parts] == [part.blocks for part in english.parts]


@TRANSLATED
def test_the_tables_and_lists_are_the_same(russian: Path) -> None:
    """Each row and item is in both; each cell has the same names and figures, such as a default."""
    page, english = read_both(russian)

    assert [part.rows for part in page.parts] == [part.rows for part in english.parts]
    assert [part.items for part in page.parts] == [part.items for part in english.parts]


@TRANSLATED
def test_the_same_things_are_named(russian: Path) -> None:
    """What a part of one page has as code, such as a setting, the other has as many times."""
    page, english = read_both(russian)

    assert [part.names for part in page.parts] == [part.names for part in english.parts]


@TRANSLATED
def test_the_figures_are_the_same(russian: Path) -> None:
    """Each figure of a part, such as a bound or a version, is in both as many times."""
    page, english = read_both(russian)

    assert [part.figures for part in page.parts] == [part.figures for part in english.parts]


@TRANSLATED
def test_the_links_lead_to_the_same_places(russian: Path) -> None:
    """Each link of a part leads to the same heading of the same page, in whichever language."""
    page, english = read_both(russian)

    assert [sorted(page.find_targets(part)) for part in page.parts] == [
        sorted(english.find_targets(part)) for part in english.parts
    ]


@TRANSLATED
def test_every_paragraph_is_translated(russian: Path) -> None:
    """Each part has as many paragraphs in both languages, and none was left in English."""
    page, english = read_both(russian)
    sentences = [text for part in page.parts for text in part.sentences]

    assert [len(part.paragraphs) for part in page.parts] == [
        len(part.paragraphs) for part in english.parts
    ]
    assert [text for text in sentences if not re.search("[а-яё]", text)] == []


@pytest.mark.parametrize("path", [*RUSSIAN, PROJECT / "README.ru.md"], ids=lambda path: path.stem)
def test_russian_pages_link_russian_pages(path: Path) -> None:
    """A link of a Russian page leads to an English page only where there is no Russian one."""
    page = Page.read(path)
    linked = [target for part in page.parts for target, _ in page.follow(part)]

    assert [str(target) for target in linked if find_russian(target) not in {None, target}] == []


@pytest.mark.parametrize("path", EVERY_PAGE, ids=lambda path: str(path.relative_to(PROJECT)))
def test_the_anchors_exist(path: Path) -> None:
    """Each link with an anchor names a heading of the page to which it leads."""
    page = Page.read(path)
    links = [link for part in page.parts for link in page.follow(part)]

    broken = [
        f"{target.name}#{anchor}"
        for target, anchor in links
        if anchor and anchor not in Page.read(target).anchors
    ]

    assert broken == []
