"""`manage.py explain`: why a message did or did not reach a user."""

import json
import sys
from argparse import ArgumentTypeError
from contextlib import closing
from typing import Any, NoReturn

import msgspec
import psycopg
from django.core.management.base import BaseCommand, CommandParser

from chat.conf import BIGINT_MAX, compose_conninfo, load_configuration
from chat.doctor.evidence import Evidence, gather_evidence
from chat.doctor.explanation import Explanation, explain
from chat.realtime.channels import describe_invalid_user_id
from chat.visible import make_visible

HELP = """\
Say why a message did or did not reach a user, from what the database knows, without writing to it.
Exit code: 0 it is explained; 1 there is no such message; 2 the database could not be read.
"""
EXPLAINED, UNKNOWN_MESSAGE, UNREADABLE = 0, 1, 2


def parse_message_id(text: str) -> int:
    """Return the id of a message, or say why it cannot be one."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= BIGINT_MAX):
        raise ArgumentTypeError(f"{text!r} is not the id of a message")
    return int(text)


def parse_user_id(text: str) -> str:
    """Return the user id, or say why it is not valid."""
    if (reason := describe_invalid_user_id(text)) is not None:
        raise ArgumentTypeError(reason)
    return text


class Command(BaseCommand):
    """Reads what the database knows about a message and a user, and says what follows from it."""

    help = HELP
    # As for the doctor: a missing secret says nothing about the database.
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's declaration

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        add = parser.add_argument
        add("--message", required=True, type=parse_message_id, metavar="ID", help="the message")
        add("--user", required=True, type=parse_user_id, metavar="U", help="the user id")
        add("--json", action="store_true", help="print one JSON document")

    def handle(self, *, message: int, user: str, json: bool, **_: Any) -> None:
        """Explain, and end with the exit code."""
        evidence = self._gather(message, user, as_json=json)
        if evidence is None:
            self._fail(UNKNOWN_MESSAGE, f"There is no message {message}.", as_json=json)
        explanation = explain(evidence, load_configuration())
        if json:
            self._print_json(msgspec.to_builtins(explanation))
        else:
            self._print(explanation)
        self.stdout.flush()
        sys.exit(EXPLAINED)

    def _gather(self, message: int, user: str, *, as_json: bool) -> Evidence | None:
        conninfo = compose_conninfo(load_configuration().database_url, "besedka-explain")
        try:
            with closing(psycopg.connect(conninfo, autocommit=True)) as connection:
                return gather_evidence(connection, message, user)
        except psycopg.Error as error:
            problem = " ".join(str(error).split()) or type(error).__name__
            self._fail(UNREADABLE, problem, as_json=as_json)

    def _print(self, explanation: Explanation) -> None:
        verdict = make_visible(f"{explanation.verdict}: {explanation.meaning}", keep=" ")
        self.stdout.write(self.style.SUCCESS(verdict))
        self.stdout.write("\nWhat is known:")
        for fact in explanation.facts:
            line = f"  {fact.subject} ({fact.state}): {fact.sentence}"
            self.stdout.write(make_visible(line, keep=" "))
        self.stdout.write("\nWhere to look next:")
        for place in explanation.look_at:
            self.stdout.write(make_visible(f"  {place}", keep=" "))

    def _print_json(self, document: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(document))

    def _fail(self, code: int, problem: str, *, as_json: bool) -> NoReturn:
        if as_json:
            self._print_json({"verdict": None, "problem": problem})
            self.stdout.flush()
        else:
            self.stderr.write(self.style.ERROR(problem))
        sys.exit(code)
