"""`manage.py delete_rooms`: deletes rooms, and the rows of those that were deleted before."""

import getpass
import time
from argparse import ArgumentTypeError

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat.actions.caller import Caller
from chat.actions.room_deletions import (
    PAUSE_SECONDS,
    STEP_ROWS,
    choose_limit,
    continue_room_deletion,
    delete_room,
)
from chat.conf import BIGINT_MAX
from chat.errors import NotFoundError
from chat.sql.database import run_call_in_django


def parse_room(text: str) -> int:
    """Return the id of a room."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= BIGINT_MAX):
        raise ArgumentTypeError(f"{text} is not the id of a room.")
    return int(text)


class Command(BaseCommand):
    """Ends rooms for everyone and deletes their rows, step by step, until nothing is left.

    The API does the second part by itself. It may run at the same time: one session is at work.
    """

    help = "Delete rooms, and finish the deletions that were requested before."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the rooms."""
        parser.add_argument("rooms", nargs="*", type=parse_room, help="ids of rooms to delete")

    def handle(self, *, rooms: list[int], **_: object) -> None:
        """End the rooms, then delete what is left of all rooms that were deleted."""
        caller = Caller("staff", f"manage.py by {getpass.getuser()}")
        for room_id in rooms:
            try:
                receipt = run_call_in_django(delete_room(caller, room_id))
            except NotFoundError:
                raise CommandError(f"There is no room {room_id}.") from None
            self.stdout.write(f"Room {room_id} is gone; it had {receipt.members} members.")
        finished, limit = 0, STEP_ROWS
        while True:
            began = time.monotonic()
            step = run_call_in_django(continue_room_deletion(limit))
            limit = choose_limit(limit, time.monotonic() - began)
            if step.outcome == "nothing":
                break
            finished += step.outcome == "finished"
            time.sleep(PAUSE_SECONDS)
        self.stdout.write(f"Deleted all rows of {finished} rooms.")
