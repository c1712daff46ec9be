"""`manage.py demo_data`: rooms, members and messages to look at."""

from django.core.management.base import BaseCommand
from django.db import transaction

from chat.actions.messages import NewMessage, make_server_key, send_messages
from chat.actions.rooms import create_room
from chat.models import Room
from chat.sql.database import run_call_in_django

ROOMS = {
    "general": ("u123", "u456", "u789"),
    "кофе и чай": ("u123", "u456"),
}
MESSAGES = (
    ("general", "u456", "Welcome! This room was made by `make up`."),
    ("general", "u789", "Everything here is yours to try."),
    ("кофе и чай", "u456", "Кому сварить кофе? ☕"),
)


class Command(BaseCommand):
    """Makes the demo's rooms in an empty database; does nothing in a database with rooms."""

    help = "Make two demo rooms for the users u123, u456 and u789, unless there are rooms already."

    def handle(self, **_: object) -> None:
        """Make all of it, or nothing."""
        with transaction.atomic():
            if Room.objects.exists():
                return
            ids = {
                name: run_call_in_django(create_room(name, members)).room.id
                for name, members in ROOMS.items()
            }
            messages = [
                NewMessage(ids[room], user, make_server_key(), text)
                for room, user, text in MESSAGES
            ]
            run_call_in_django(send_messages(messages))
        self.stdout.write("Made 2 rooms for u123, u456 and u789.")
