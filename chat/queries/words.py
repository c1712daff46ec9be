"""The word list, kept in memory, so that no message asks the database.

A process reads the whole list every second, on a connection of its own. So a change is in force in
every process within two seconds, however late its transaction ended, also in a restored database.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Literal

import msgspec
import structlog

from chat.errors import NotFoundError
from chat.folding import Folder
from chat.sql import Call
from chat.sql.database import Database

Action = Literal["refuse", "mask", "report"]
"""What is done about a word: the message is refused, the word is masked, or staff is told."""
LOOK_SECONDS = 1.0
LOOK_WITHIN_SECONDS = 2.5
FIRST_LOOK_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Word(msgspec.Struct, frozen=True):
    """A word of the list, and what is done about it."""

    word: str
    action: Action


class Rules:
    """The list as texts are compared with it."""

    def __init__(self, folder: Folder, words: Sequence[Word]) -> None:
        self._folder = folder
        self._words: dict[str, Word] = {}
        for word in words:
            self._words |= dict.fromkeys(folder.list_looks(word.word), word)
        self._masked = {look for look, word in self._words.items() if word.action == "mask"}

    def find(self, text: str) -> Mapping[Action, set[str]]:
        """Return the words of the list that a text contains, by their action."""
        found: dict[Action, set[str]] = {}
        for look in self._folder.find(text, self._words):
            word = self._words[look]
            found.setdefault(word.action, set()).add(word.word)
        return found

    def mask(self, text: str) -> str:
        """Return the text with a `*` for each character of the words that are masked."""
        return self._folder.mask(text, self._masked)


class Words:
    """The word list as one process knows it."""

    rules: Rules | None = None
    """None while the list is empty: then sending costs nothing more."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: list[Word] = []
        self._folder: Folder | None = None
        self._is_late = False
        self.loaded = asyncio.Event()
        """Set when the list was read once."""

    async def look(self) -> None:
        """Read the list. Errors: those of `Database.run`."""
        words = await self._database.run(list_words(), within=LOOK_WITHIN_SECONDS)
        if words != self._known:
            folder = await self.fetch_folder()
            self.rules = Rules(folder, words) if words else None
            self._known = words
        self.loaded.set()

    async def fetch_folder(self) -> Folder:
        """Return what folds texts; made once, in a thread, because that reads Unicode's table."""
        if self._folder is None:
            self._folder = await asyncio.to_thread(Folder)
        return self._folder

    async def keep_looking(self) -> None:
        """Look again and again, for ever; what is known stays in force while there is no answer."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - a process without looks would never know
                if not self._is_late:
                    log.warning("words_not_read", error=type(error).__name__)
                self._is_late = True
            else:
                if self._is_late:
                    log.info("words_read_again")
                self._is_late = False
            await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def keep_words(database: Database) -> AsyncIterator[Words]:
    """Keep the word list up to date until the block ends."""
    words = Words(database)
    looking = asyncio.create_task(words.keep_looking())
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(words.loaded.wait(), FIRST_LOOK_SECONDS)
        yield words
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


def list_words() -> Call[list[Word]]:
    """Return the whole list."""
    return Call("list_words", Word, {}, list)


def get_word(skeleton: str) -> Call[Word]:
    """Return a word of the list. Errors: `NotFoundError`."""
    return Call("find_word", Word, {"skeleton": skeleton}, _read_word)


def _read_word(rows: list[Word]) -> Word:
    if not rows:
        raise NotFoundError("This word is not on the list.")
    return rows[0]
