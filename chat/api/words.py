"""Words that are not sent as they are; the host's service keeps the list, as staff do."""

import msgspec
from litestar import Response, delete, get, put

from chat import actions, queries
from chat.api.bodies import parse_body
from chat.api.openapi.operations import Operation
from chat.api.paths import decode_segment
from chat.api.screening import Screening
from chat.api.security import ApiRequest, authenticated, read_caller, service_only
from chat.conf import WORD_MAX_LENGTH
from chat.errors import InvalidInputError
from chat.queries.words import Action, Word
from chat.sql.database import Database

PATH = "/api/words/{word:str}"


class PutWordBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is done about a word."""

    action: Action


@get(
    PATH,
    guards=[authenticated, service_only],
    operation=Operation(problems=("not_found", "invalid_input")),
)
async def read_word(
    request: ApiRequest, word: str, database: Database, screening: Screening
) -> Word:
    """Return a word of the list, in whatever spelling it is asked for.

    For the host's service. Path: `word`, percent-encoded UTF-8.
    """
    del request
    _, skeleton = await _read_path(word, screening)
    return await database.run(queries.words.get_word(skeleton))


@put(
    PATH,
    guards=[authenticated, service_only],
    operation=Operation(
        body=PutWordBody,
        example={"action": "mask"},
        answers={201: "The word, which is new on the list."},
        problems=("invalid_input", "limit_reached"),
    ),
)
async def put_word(
    request: ApiRequest, word: str, body: bytes, database: Database, screening: Screening
) -> Response[Word]:
    """Put a word on the list, or change what is done about it; repeating it changes nothing.

    For the host's service. Body: `action`: `refuse` refuses a message with the word, `mask` stores
    it with `*` for each character of the word, `report` stores it and puts it into the queue of
    reports. Path: `word`, percent-encoded UTF-8: one word of letters and digits, of at most 64
    characters. It stands for all its spellings: other case, accents, letters that look the same.

    201 when the word is new; 200 when it was there; 409 when the list is full. It is in force in
    this process at once, and in all others within two seconds.
    """
    wanted = parse_body(request, body, PutWordBody)
    text, skeleton = await _read_path(word, screening)
    call = actions.words.put_word(read_caller(request), text, skeleton, wanted.action)
    is_new = await database.run(call)
    await screening.words.look()
    return Response(Word(text, wanted.action), status_code=201 if is_new else 200)


@delete(
    PATH,
    guards=[authenticated, service_only],
    operation=Operation(problems=("invalid_input",)),
)
async def delete_word(
    request: ApiRequest, word: str, database: Database, screening: Screening
) -> None:
    """Take a word off the list, in whatever spelling; repeating it changes nothing.

    For the host's service. Path: `word`, percent-encoded UTF-8.
    """
    _, skeleton = await _read_path(word, screening)
    await database.run(actions.words.delete_word(read_caller(request), skeleton))
    await screening.words.look()


async def _read_path(segment: str, screening: Screening) -> tuple[str, str]:
    """Return the word of a path, and the word as texts are compared with it."""
    text = decode_segment(segment, "word", "word")
    folder = await screening.words.fetch_folder()
    skeleton = folder.fold_word(text) if len(text) <= WORD_MAX_LENGTH else None
    if skeleton is None:
        raise InvalidInputError(
            f"A word is letters and digits, at most {WORD_MAX_LENGTH} characters.", pointer="word"
        )
    return text, skeleton
