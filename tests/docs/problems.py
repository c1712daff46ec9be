"""Writes the table of error codes in docs/api.md from the registry `chat.api.problems.PROBLEMS`.

    python -m tests.docs.problems

A test requires that the page has what this would write now.
"""

import os
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
BEGIN = "<!-- Written by `python -m tests.docs.problems`; change chat/api/problems.py instead. -->"
END = "<!-- end of what is written -->"


def write_page(page: str) -> str:
    """Return the page with the table between its two marks written again.

    Raises ValueError where the marks are missing.
    """
    found = re.search(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", page, re.DOTALL)
    if found is None:
        raise ValueError(f"{PAGE} lacks the marks between which the table belongs.")
    return page[: found.start()] + _write_table() + page[found.end() :]


def _write_table() -> str:
    from chat.api.problems import PROBLEMS  # noqa: PLC0415 - needs Django to be set up

    rows = [
        f"| {kind.status.value} | `{code}` | {'nginx: ' * kind.is_from_proxy}{kind.meaning} |\n"
        for code, kind in PROBLEMS.items()
    ]
    return "\n| status | code | when |\n| --- | --- | --- |\n" + "".join(rows) + "\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(write_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    os.environ["DEBUG"] = "1"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")
    import django

    django.setup()
    main()
