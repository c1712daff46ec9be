"""The checks that a history must pass, their bounds, and the result."""

from collections import defaultdict
from dataclasses import dataclass, field
from enum import Enum

from client.reducer import KEEP

SHOWN = 20


class Check(Enum):
    """What must hold of every run: a sentence, and the code that comments use for it."""

    FINAL_READS_AGREE = "C0", "the API and the database show the same messages at the end"
    CHANGES_LAST = "C1", "every acknowledged change is stored as it was answered"
    NOTHING_INVENTED = "C2", "every stored message was sent by someone and not refused"
    ONE_KEY_ONE_MESSAGE = "C3", "all sends with one key are one message"
    ONE_ORDER = "C4", "the messages of a room have one order without gaps, which follows real time"
    PAGES_COMPLETE = "C5", "every page shows exactly the messages of its range"
    APPLIED_ONCE = "C6", "no device applies an event twice"
    APPLIED_AS_LOGGED = "C6a", "every device applies the events of the log, all and in order"
    NO_LEAK = "C6b", "no device receives, applies or reads what is not for its user"
    PUBLISHED_IN_ORDER = "C6c", "the events of a room are published in order"
    EVERY_EVENT_ARRIVES = "C6d", "every event reaches each subscribed device as a frame"
    NOTHING_UNASKED = "C6e", "nothing is published to a user who never asked for a token"
    STATES_AGREE = "C7", "every device holds at the end what it would read from the API"
    UNREAD_COUNTS = "C8", "every unread count is right"
    SERVICE_GOES_ON = "C10", "sends are acknowledged throughout, and afterwards all work is done"
    ENOUGH_HAPPENED = "C11", "enough happened for the result to count"

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        self.sentence = sentence

    def __str__(self) -> str:
        return f"{self.sentence} ({self.code})"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a run must reach; times in seconds.

    min_sends, min_pages, min_frames: the least number of acknowledged sends by HTTP, of pages and
    of frames; a run with fewer proves nothing. The silences are the longest allowed times without
    an acknowledged send by HTTP, during a fault and outside; a single sender may wait `patience`
    longer, because a request may be refused only after 4.5 s. time_to_rest is counted from the end
    of the last fault. unread_reach: how many of a room's newest messages a device holds and counts
    as unread, None for all; the default is what the reference client holds. is_continuous: whether
    a device receives every event while it is subscribed; False for several servers without a
    broker between them, which do not promise it.
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
    leaked: frames, applied events and snapshots of a device whose user may not see them. missed:
    events that did not reach a subscribed device. recovered_info: messages that are stored although
    their sender had no answer. duplicate_frames: events that reached a device again, which is
    allowed. longest_wait: of one sender, from a send or the answer before to the next answer.
    """

    failures: dict[Check, list[str]] = field(default_factory=dict)
    counts: defaultdict[Check, int] = field(default_factory=lambda: defaultdict(int))
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

    def add(self, check: Check, text: str) -> None:
        """Note a failure of a check."""
        self.counts[check] += 1
        if self.counts[check] <= SHOWN:
            self.failures.setdefault(check, []).append(text)

    def describe(self) -> str:
        """Return the verdict for a reader: the figures, then each check that failed."""
        rest = "never" if self.time_to_rest is None else f"{self.time_to_rest:.1f} s"
        failed = ", ".join(check.code for check in self.failures)
        outcome = "The history is correct." if self.ok else f"The history is wrong: {failed}."
        imported = f", {self.imported} imported" if self.imported else ""
        stored = (
            f"{self.acknowledged} messages acknowledged{imported}, {self.lost} lost,"
            f" {self.doubled} doubled, {self.leaked} leaked, {self.missed} missed,"
            f" {self.recovered_info} stored without an answer"
        )
        times = (
            f"{self.duplicate_frames} repeated frames; at rest after {rest}; longest silence"
            f" {self.longest_silence_in_fault:.1f} s in a fault,"
            f" {self.longest_silence_outside:.1f} s outside;"
            f" longest wait of one sender {self.longest_wait:.1f} s"
        )
        lines = [outcome, f"  {stored}", f"  {times}"]
        for check, texts in sorted(self.failures.items(), key=lambda item: item[0].code):
            lines.append(f"  not true: {check}")
            lines.extend(f"    {check.code}: {text}" for text in texts)
            if (more := self.counts[check] - len(texts)) > 0:
                lines.append(f"    {check.code}: and {more} more")
        return "\n".join(lines)
