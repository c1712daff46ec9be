"""The output of the supervisor: plain sentences, in colour on a terminal."""

import os
import sys

RED, GREEN, YELLOW, BLUE, CYAN = "31", "32", "33", "34", "36"
BOLD, DIM = "1", "2"


class Terminal:
    """Prints lines at once, and nothing more after the output was closed."""

    def __init__(self) -> None:
        self.closed = False
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self._colour = sys.stdout.isatty() and not plain

    def paint(self, text: str, style: str) -> str:
        """Return the text in a colour; unchanged for NO_COLOR, pipes and files."""
        return f"\x1b[{style}m{text}\x1b[0m" if self._colour else text

    def say(self, text: str = "") -> None:
        """Print one line, or note that the output was closed, which must not fail."""
        if self.closed:
            return
        try:
            print(text, flush=True)
        except OSError:  # EPIPE of `make up | head`, EIO of a closed window
            self.closed = True
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - until the process ends

    def pass_on(self, name: str, style: str, line: str) -> None:
        """Print a line of a part, after the part's name."""
        self.say(f"{self.paint(f'{name:>8} │', style)} {line}")

    def complain(self, error: Exception) -> None:
        """Print what failed, after the lines that explain it."""
        for line in getattr(error, "details", ()):
            self.say(f"  {line}")
        self.say(self.paint(str(error), RED))
