"""What the supervisor says on the terminal: plain sentences, in colour where that is welcome."""

import os
import sys

RED, GREEN, YELLOW, BLUE, CYAN = "31", "32", "33", "34", "36"
BOLD, DIM = "1", "2"


class Terminal:
    """Prints whole lines at once; keeps quiet for good once nobody can read them."""

    def __init__(self) -> None:
        self.closed = False
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self._colour = sys.stdout.isatty() and not plain

    def paint(self, text: str, style: str) -> str:
        """Wrap the text in a colour; unchanged for NO_COLOR, pipes and files."""
        return f"\x1b[{style}m{text}\x1b[0m" if self._colour else text

    def say(self, text: str = "") -> None:
        """Print one line, or note that the terminal or pipe is gone: that must not stop a stop."""
        if self.closed:
            return
        try:
            print(text, flush=True)
        except OSError:  # EPIPE of `make up | head`, EIO of a closed window
            self.closed = True
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for good

    def pass_on(self, name: str, style: str, line: str) -> None:
        """Print a line of a part behind its name."""
        self.say(f"{self.paint(f'{name:>8} │', style)} {line}")

    def complain(self, error: Exception) -> None:
        """Print what went wrong, after the lines that led to it."""
        for line in getattr(error, "details", ()):
            self.say(f"  {line}")
        self.say(self.paint(str(error), RED))
