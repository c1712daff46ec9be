"""`manage.py watch`: a user's events, live, as any client receives them."""

import argparse
import asyncio
import io
import json
import os
import signal
from collections.abc import Callable
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat.visible import make_visible
from embedded.supervisor import dial
from embedded.welcome import Addresses

Show = Callable[[dict[str, Any]], None]
MISSING = (
    "`watch` needs the package {package}, which production does not install: "
    "run `pip install centrifuge-python`."
)


def describe_event(event: dict[str, Any]) -> str:
    """Return one line that says what happened."""
    body = event["body"]
    room = body.get("room")
    if room is None:
        return make_visible(str(event["type"]))  # of a later release
    name, user = make_visible(room["name"]), make_visible(body.get("user", ""))
    place = f"{name} (room {room['id']}, version {room['version']})"
    if event["type"] == "message_added":
        content = make_visible(body["content"], keep=" \n")
        return f"{place}  {user}: {content}"
    verb = {"user_joined": "joined", "user_left": "left"}.get(event["type"], event["type"])
    return f"{place}  {user} {make_visible(verb)}"


def sign_token(user_id: str) -> str:
    """Return a JWT for the API, as `manage.py token` prints it."""
    printed = io.StringIO()
    call_command("token", f"--sub={user_id}", stdout=printed)
    return printed.getvalue().strip()


def parse_user(text: str) -> str:
    """Return the user id, if `manage.py token` can make a token for it."""
    try:
        sign_token(text)
    except CommandError as error:
        raise argparse.ArgumentTypeError(str(error).rpartition("--sub: ")[2]) from error
    return text


class Command(BaseCommand):
    """Prints the events of a user's rooms; what the connection missed is read from the log."""

    help = "Show a user's events live, one line each, until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        port, realtime_port = (
            int(os.environ.get(name) or default)
            for name, default in {"PORT": 9000, "REALTIME_PORT": 8000}.items()
        )
        here = Addresses(dial(os.environ.get("HOST", "")), port, realtime_port, "")
        parser.add_argument("--sub", required=True, type=parse_user, help="the user id")
        parser.add_argument("--json", action="store_true", help="print the events as JSON")
        parser.add_argument(
            "--url", default=here.realtime, help="the WebSocket address of Centrifugo"
        )
        parser.add_argument("--api-url", default=here.api, help="the base address of the API")

    def handle(self, *, sub: str, url: str, api_url: str, json: bool, **_: object) -> None:
        """Watch until Ctrl-C or SIGTERM."""
        try:
            import client.device  # noqa: F401, PLC0415 - a package of it may not be installed
        except ModuleNotFoundError as error:
            raise CommandError(MISSING.format(package=error.name)) from error
        asyncio.run(self._watch(sub, url, api_url, self._print_json if json else self._print))

    async def _watch(self, user_id: str, url: str, api_url: str, show: Show) -> None:
        from client.api import DeviceEndedError  # noqa: PLC0415 - see `handle`
        from client.device import Device  # noqa: PLC0415 - the same
        from embedded.watching import Watcher, make_read  # noqa: PLC0415 - the same

        read = make_read(api_url, lambda: sign_token(user_id), self._say)
        watcher = Watcher(user_id, read, show, self._say)
        device = Device(user_id, read, url, observer=watcher, proxy=None)
        watching = asyncio.create_task(watcher.watch(device))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, watching.cancel)
        try:
            await watching
        except asyncio.CancelledError:
            pass  # by a signal
        except DeviceEndedError as error:
            raise CommandError(f"The events end here: {error}.") from error
        finally:
            await device.stop()

    def _print(self, event: dict[str, Any]) -> None:
        self.stdout.write(describe_event(event))
        self.stdout.flush()

    def _print_json(self, event: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(event))
        self.stdout.flush()

    def _say(self, text: str) -> None:
        """Print something that is no event."""
        self.stderr.write(self.style.WARNING(text), style_func=str)
