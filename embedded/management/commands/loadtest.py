"""`manage.py loadtest`: load on an installation, and whether every message arrived once."""

import argparse
import io
import os

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from embedded.supervisor import dial
from embedded.welcome import Addresses

HELP = """\
Create rooms and users, connect a device for each user, send as fast as the API answers, and check
that every acknowledged message arrived at every member exactly once and in order. It uses the
public API with tokens signed with JWT_SECRET. The rooms stay, named "loadtest …". Exit code: 1 if a
message was lost, doubled or out of order.
"""
BAR = 30


def parse_count(text: str) -> int:
    """Return a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def sign(user_id: str, is_service: bool) -> str:  # noqa: FBT001 - one function for both kinds
    """Return a JWT as `manage.py token` prints it."""
    printed = io.StringIO()
    options = ["--service"] if is_service else []
    silent = io.StringIO()  # whether it is shorter than a day
    call_command("token", f"--sub={user_id}", "--ttl=1d", *options, stdout=printed, stderr=silent)
    return printed.getvalue().strip()


class Command(BaseCommand):
    """Runs the load generator of the benchmarks against an installation of the user's own."""

    help = HELP

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        port, realtime_port = (
            int(os.environ.get(name) or default)
            for name, default in {"PORT": 9000, "REALTIME_PORT": 8000}.items()
        )
        here = Addresses(dial(os.environ.get("HOST", "")), port, realtime_port, "")
        parser.add_argument("--rooms", type=parse_count, default=10, help="how many rooms")
        parser.add_argument(
            "--members", type=parse_count, default=20, help="of each room, all connected; ≤ 1,000"
        )
        parser.add_argument("--senders", type=parse_count, default=8, help="sends at a time")
        parser.add_argument("--seconds", type=parse_count, default=10, help="how long")
        parser.add_argument("--url", default=here.api, help="the base address of the API")
        parser.add_argument(
            "--realtime-url", default=here.realtime, help="the WebSocket address of Centrifugo"
        )

    def handle(self, *, url: str, realtime_url: str, seconds: int, **options: object) -> None:
        """Run, print the verdict, and raise where a message was not delivered exactly once."""
        from benches.http import Address  # noqa: PLC0415 - `manage.py help` loads all commands
        from benches.loadtest import Load, describe, run_load  # noqa: PLC0415 - the same

        rooms, members, senders = (int(str(options[n])) for n in ("rooms", "members", "senders"))
        try:
            api, realtime = Address.parse(url), Address.parse(realtime_url)
            load = Load(api, realtime, rooms, members, senders, seconds)
            outcome = run_load(load, sign, self._report)
        except (OSError, RuntimeError, ValueError) as error:
            raise CommandError(f"{type(error).__name__}: {error}") from error
        self._report("", 1)
        for line in describe(outcome):
            self.stdout.write(line)
        if not outcome.sent:
            raise CommandError("No send was acknowledged.")
        if not outcome.delivery.is_exact:
            raise CommandError("Not every message arrived exactly once and in order.")
        self.stdout.write(
            self.style.SUCCESS("Every message arrived exactly once and in order."), style_func=str
        )

    def _report(self, doing: str, done: float) -> None:
        """Draw the progress bar, if there is a terminal to draw it on."""
        if not self.stderr.isatty():
            return
        bar = "█" * round(done * BAR)
        line = f"{bar:░<{BAR}} {done:4.0%}  {doing}" if doing else ""
        self.stderr.write(f"\r\033[K{line}", ending="", style_func=str)
        self.stderr.flush()
