"""README.md and README.ru.md say the same."""

import re

from tests.support.processes import PROJECT

ENGLISH = (PROJECT / "README.md").read_text(encoding="utf-8")
RUSSIAN = (PROJECT / "README.ru.md").read_text(encoding="utf-8")


def find_blocks(text: str) -> list[str]:
    """Return the code blocks of a page."""
    return re.findall(r"^```.*?^```", text, re.DOTALL | re.MULTILINE)


def describe_shape(text: str) -> list[str]:
    """Return a page's headings by depth, list items and links in order, without words."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    marks = r"^(#+) |^(-|\d\.) |\]\((?!README)([^)]+)\)"
    same_pages = prose.replace("](docs/ru/", "](docs/")
    return ["".join(match) for match in re.findall(marks, same_pages, re.MULTILINE)]


def test_the_commands_are_the_same() -> None:
    """Both pages have the same blocks of commands in the same order, equal in every character."""
    assert find_blocks(RUSSIAN) == find_blocks(ENGLISH)


def test_the_structure_is_the_same() -> None:
    """Both pages have the same headings, lists and links in the same order."""
    assert describe_shape(RUSSIAN) == describe_shape(ENGLISH)


def test_the_same_things_are_named() -> None:
    """What one page has as code, such as a setting, a command or a claim, the other has too."""
    names = [
        set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", page, flags=re.DOTALL)))
        for page in (ENGLISH, RUSSIAN)
    ]

    assert names[0] == names[1]
