"""How much hardware so many users need, from the measured figures, with the arithmetic shown."""

from dataclasses import dataclass

from benches.record import Record
from benches.table import format_number
from benches.traffic import Cost

MESSAGES_A_DAY = 20
PEAK_HOUR = 0.10
PEAK_SECOND = 2.0
READS_A_SEND = 3
ONLINE = 0.10
UTILISATION = 0.5
USERS = (10_000, 1_000_000, 10_000_000)


@dataclass(frozen=True, slots=True)
class _Unit:
    """What one send or read takes, in CPU ms, and what is kept, in bytes."""

    send: Cost
    read: Cost
    message_bytes: float
    log_bytes: float
    connection_bytes: float


def write_sizing(record: Record) -> str:
    """Return the assumptions, the formulas and a table for three numbers of users."""
    unit = _Unit(
        send=_find_cost(record, "send, 100 rooms of 20: CPU of everything"),
        read=_find_cost(record, "GET messages, 50: CPU"),
        message_bytes=record.find("disk of a message").figure,
        log_bytes=record.find("log of a message").figure,
        connection_bytes=record.find("memory of realtime").figure * 1000,
    )
    lines = [_write_line(unit, users) for users in USERS]
    return "\n".join([ASSUMED, _write_formulas(unit), HEAD, *lines])


def _find_cost(record: Record, path: str) -> Cost:
    cost = record.find(path).cost
    if cost is None:
        raise LookupError(f"the record has no cost of {path!r}")
    return cost


HEAD = """\
| daily users | sends/s at the peak | API cores | PostgreSQL cores | Centrifugo cores \
| connections | their memory | disk a day | log at the peak |
| --: | --: | --: | --: | --: | --: | --: | --: | --: |"""
ASSUMED = f"""\
Assumed: a user sends {MESSAGES_A_DAY} messages on a day; {PEAK_HOUR:.0%} of them in the busiest
hour; the busiest second has {PEAK_SECOND:g} times the average of that hour; {READS_A_SEND} reads
for each send; {ONLINE:.0%} of the users are connected at once; cores are used to {UTILISATION:.0%};
2 of a room's 20 members are connected. Put your own numbers into the same formulas:
"""
FORMULAS = """\
- sends/s = users × {day} × {peak:g} ÷ 3,600 s × {second:g}
- API cores = sends/s × ({send.api:.3f} ms + {reads} × {read.api:.3f} ms) ÷ 1,000 ÷ {use:g}; a
  process uses one core
- PostgreSQL cores = sends/s × ({send.postgres:.3f} ms + {reads} × {read.postgres:.3f} ms) ÷ 1,000
  ÷ {use:g}
- Centrifugo cores = sends/s × {send.realtime:.3f} ms ÷ 1,000 ÷ {use:g}
- memory = users × {online:g} × {connection:.1f} kB for a connection
- disk = users × {day} × {message:.0f} B for a message, its event and their indexes
- log = sends/s × {log:,.0f} B, which the primary writes and each standby receives
"""


def _write_formulas(unit: _Unit) -> str:
    return FORMULAS.format(
        send=unit.send,
        read=unit.read,
        connection=unit.connection_bytes / 1000,
        message=unit.message_bytes,
        log=unit.log_bytes,
        day=MESSAGES_A_DAY,
        peak=PEAK_HOUR,
        second=PEAK_SECOND,
        reads=READS_A_SEND,
        use=UTILISATION,
        online=ONLINE,
    )


def _write_line(unit: _Unit, users: int) -> str:
    rate = users * MESSAGES_A_DAY * PEAK_HOUR / 3600 * PEAK_SECOND
    send, read = unit.send, unit.read
    cores = [
        rate * (of_send + READS_A_SEND * of_read) / 1000 / UTILISATION
        for of_send, of_read in (
            (send.api, read.api),
            (send.postgres, read.postgres),
            (send.realtime, 0.0),
        )
    ]
    connections = users * ONLINE
    cells = [
        f"{users:,}",
        format_number(rate),
        *map(format_number, cores),
        f"{connections:,.0f}",
        f"{format_number(connections * unit.connection_bytes / 1e9)} GB",
        f"{format_number(users * MESSAGES_A_DAY * unit.message_bytes / 1e9)} GB",
        f"{format_number(rate * unit.log_bytes / 1e6)} MB/s",
    ]
    return f"| {' | '.join(cells)} |"
