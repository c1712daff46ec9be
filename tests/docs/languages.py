"""A page of the docs, part by part, in a form in which two languages can be compared."""

import re
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Self

from tests.support.processes import PROJECT

DOCS = PROJECT / "docs"
LANGUAGE_LINE = re.compile(r"^\[(?:По-русски|In English)\]\(.*\)$")
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)]+)\)")
# 10,000 and 1.2 in English are 10 000 and 1,2 in Russian; versions have points in both.
FIGURE = {
    "english": re.compile(r"\d+(?:,\d{3}(?!\d))*(?:\.\d+)*"),
    "russian": re.compile(r"\d+(?:[ \u00a0]\d{3}(?!\d))*(?:[.,]\d+)*"),
}


def find_english(path: Path) -> Path:
    """Return the English page of a page in any language."""
    if path == PROJECT / "README.ru.md":
        return PROJECT / "README.md"
    return DOCS / path.name if path.parent == DOCS / "ru" else path


def find_russian(path: Path) -> Path | None:
    """Return the Russian page of a page in any language, if there is one."""
    english = find_english(path)
    if english == PROJECT / "README.md":
        return PROJECT / "README.ru.md"
    russian = DOCS / "ru" / english.name
    return russian if english.parent == DOCS and russian.exists() else None


def find_link_line(path: Path) -> str:
    """Return the line that follows the title and an empty line."""
    return path.read_text(encoding="utf-8").splitlines()[2]


@dataclass
class Part:
    """A heading and what follows it up to the next heading."""

    level: int
    heading: str
    language: str
    blocks: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def cells(self) -> list[list[str]]:
        """The rows of the tables, without the lines below their headers."""
        rows = [line.strip() for line in self.lines if line.lstrip().startswith("|")]
        split = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
        return [row for row in split if not re.fullmatch("-*", "".join(row).replace(" ", ""))]

    @property
    def rows(self) -> list[list[tuple[list[str], list[str]]]]:
        """The names and the figures of each cell of the tables, row by row."""
        return [
            [(sorted(CODE.findall(cell)), sorted(self._find_figures(cell))) for cell in row]
            for row in self.cells
        ]

    @property
    def items(self) -> list[str]:
        """The marks of the items of lists: `-` or a number."""
        return [mark for line in self.lines for mark in re.findall(r"^ *(-|\d+\.) ", line)]

    @property
    def paragraphs(self) -> list[list[str]]:
        """The lines of each paragraph and each list."""
        lines = [line.strip() for line in self.lines if not line.lstrip().startswith("|")]
        return [list(run) for is_text, run in groupby(lines, key=bool) if is_text]

    @property
    def sentences(self) -> list[str]:
        """The paragraphs, items and cells that have words, without code and addresses."""
        runs = ["\n".join(lines) for lines in self.paragraphs]
        texts = [item for run in runs for item in re.split(r"(?m)^(?:-|\d+\.) ", run)]
        texts += [cell for row in self.cells for cell in row]
        bare = [CODE.sub("", LINK.sub("]", text)) for text in texts]
        return [text for text in bare if len(re.findall(r"[^\W\d_]{2,}", text)) > 1]

    @property
    def text(self) -> str:
        """All lines as one."""
        return " ".join([self.heading, *" ".join(self.lines).split()])

    @property
    def names(self) -> list[str]:
        """What is set as code within lines, as often as it is."""
        return sorted(CODE.findall(self.text))

    @property
    def figures(self) -> list[str]:
        """The figures outside code, each as often as it stands there."""
        return sorted(self._find_figures(self.text))

    def _find_figures(self, text: str) -> list[str]:
        """Return the figures of a text as English would write them, without separators."""
        found = FIGURE[self.language].findall(CODE.sub("", LINK.sub("]", text)))
        if self.language == "english":
            return [figure.replace(",", "") for figure in found]
        return [re.sub("[ \u00a0]", "", figure).replace(",", ".") for figure in found]


@dataclass(frozen=True)
class Page:
    """A page and its parts."""

    path: Path
    parts: list[Part]

    @classmethod
    @cache
    def read(cls, path: Path) -> Self:
        """Read a page; the line that links the other language is left out."""
        language = "english" if find_english(path) == path else "russian"
        parts: list[Part] = []
        fence: list[str] | None = None
        for line in path.read_text(encoding="utf-8").splitlines():
            heading = re.match(r"(#+) (.*)", line)
            if fence is not None:
                fence.append(line)
                if line.strip() == "```":
                    parts[-1].blocks.append("\n".join(fence))
                    fence = None
            elif line.lstrip().startswith("```"):
                fence = [line]
            elif heading:
                parts.append(Part(len(heading[1]), heading[2], language))
            elif line.startswith("    "):
                parts[-1].blocks.append(line)
            elif parts and not LANGUAGE_LINE.match(line):
                parts[-1].lines.append(line)
        return cls(path, parts)

    @property
    def anchors(self) -> list[str]:
        """The anchors that GitHub gives the headings."""
        return [
            re.sub(r"[^\w\- ]", "", part.heading.lower()).replace(" ", "-") for part in self.parts
        ]

    def follow(self, part: Part) -> list[tuple[Path, str]]:
        """Return the files to which a part's links lead, each with the anchor or ``""``."""
        split = [link.partition("#") for link in LINK.findall(part.text) if "://" not in link]
        return [
            ((self.path.parent / target).resolve() if target else self.path, anchor)
            for target, _, anchor in split
        ]

    def find_targets(self, part: Part) -> list[tuple[str, int]]:
        """Return the part's links as English pages and numbers of headings, and the outer links."""
        inner = [
            (str(find_english(path)), Page.read(path).anchors.index(anchor) if anchor else 0)
            for path, anchor in self.follow(part)
        ]
        return inner + [(link, 0) for link in LINK.findall(part.text) if "://" in link]
