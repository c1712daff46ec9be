"""What a history is judged by, and what came of it."""

from collections import defaultdict
from dataclasses import dataclass, field

from client.reducer import KEEP

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a run must reach; times in seconds.

    min_sends, min_pages, min_frames: acknowledged sends by HTTP, pages that were read, and frames;
    fewer prove nothing. The silences are the longest times without an acknowledged send by HTTP,
    while a fault is on and otherwise; a single sender may wait `patience` longer, as a request
    may be refused only after 4.5 s. time_to_rest is counted from the stop
    of the last fault. unread_reach: how many of a room's newest messages a device holds and counts
    as unread, None for all; as it stands, what the reference client holds. is_continuous: a
    device gets every event while it is subscribed; False for servers without a broker between
    them, which do not promise it.
    """

    min_sends: int = 500
    min_pages: int = 3
    min_frames: int = 100
    silence_in_fault: float = 30.0
    silence_outside: float = 10.0
    patience: float = 5.0
    time_to_rest: float = 30.0
    unread_reach: int | None = KEEP
    is_continuous: bool = True


@dataclass(slots=True)
class Verdict:
    """The failures by check, and the figures of a run; times in seconds.

    `failures` has the first 20 texts of each check that failed, `counts` how many there were.

    acknowledged: messages by HTTP that were acknowledged. imported: those by SQL. lost: those of
    both that are not in the table. doubled: messages stored twice, and events applied twice.
    leaked: frames, applied events and snapshots of a device whose user they were not for. missed:
    events that did not come to a subscribed device. recovered_info: messages that nobody had
    acknowledged and that are stored. duplicate_frames: events that came to a device again, which is
    allowed. longest_wait: of one sender, from a send or the answer before to the next answer.
    """

    failures: dict[str, list[str]] = field(default_factory=dict)
    counts: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    acknowledged: int = 0
    imported: int = 0
    lost: int = 0
    doubled: int = 0
    leaked: int = 0
    missed: int = 0
    recovered_info: int = 0
    duplicate_frames: int = 0
    time_to_rest: float | None = None
    longest_silence_in_fault: float = 0.0
    longest_silence_outside: float = 0.0
    longest_wait: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    def add(self, check: str, text: str) -> None:
        """Note a failure of a check."""
        self.counts[check] += 1
        if self.counts[check] <= SHOWN:
            self.failures.setdefault(check, []).append(text)

    def describe(self) -> str:
        """Return the verdict for a reader: the figures, then each check that failed."""
        rest = "never" if self.time_to_rest is None else f"{self.time_to_rest:.1f} s"
        outcome = "The history is correct." if self.ok else "FAILED: " + ", ".join(self.failures)
        imported = f", {self.imported} imported" if self.imported else ""
        stored = (
            f"{self.acknowledged} messages acknowledged{imported}, {self.lost} lost,"
            f" {self.doubled} doubled, {self.leaked} leaked, {self.missed} missed,"
            f" {self.recovered_info} stored without an answer"
        )
        times = (
            f"{self.duplicate_frames} frames came again; at rest after {rest}; longest silence"
            f" {self.longest_silence_in_fault:.1f} s in a fault,"
            f" {self.longest_silence_outside:.1f} s outside;"
            f" longest wait of one sender {self.longest_wait:.1f} s"
        )
        lines = [outcome, f"  {stored}", f"  {times}"]
        for check, texts in sorted(self.failures.items()):
            lines.extend(f"  {check}: {text}" for text in texts)
            if (more := self.counts[check] - len(texts)) > 0:
                lines.append(f"  {check}: and {more} more")
        return "\n".join(lines)
