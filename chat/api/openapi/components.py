"""The schemas of bodies, answers and events, made from the types that parse and write them."""

from collections.abc import Iterable
from typing import Any, get_args

import msgspec

from chat.api.openapi.examples import EXAMPLES
from chat.api.problems import Problem
from chat.events import Event

Schema = dict[str, Any]

REF = "#/components/schemas/{name}"


def refer(kind: Any) -> Schema:  # noqa: ANN401 - a type
    """Return the reference to the schema of a type, or the schema where it has no name."""
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=REF)
    return dict(schema)


def describe_schemas(bodies: Iterable[type[Any]], answers: Iterable[Any]) -> Schema:
    """Return the schemas of all bodies, answers and events, by name."""
    taken, events = [*bodies], get_args(Event)
    _, schemas = msgspec.json.schema_components(
        [*taken, *answers, *events, Problem], ref_template=REF
    )
    names = {body.__name__ for body in taken}
    described = {
        name: _sharpen(schema, is_answer=name not in names) for name, schema in schemas.items()
    }
    references = {event.__name__: REF.format(name=event.__name__) for event in events}
    described["Event"] = {
        "description": "One change of a room; `type` says which of these it is.",
        "oneOf": [{"$ref": reference} for reference in references.values()],
        "discriminator": {
            "propertyName": "type",
            "mapping": {
                described[name]["properties"]["type"]["enum"][0]: reference
                for name, reference in references.items()
            },
        },
    }
    # Events of the log are composed in SQL, so the Python type is raw JSON.
    page = described["EventPage"]["properties"]["results"]
    page["items"] = {"$ref": REF.format(name="Event")}
    for name, example in EXAMPLES.items():
        described[name]["examples"] = [example]
    return described


def _sharpen(schema: Schema, *, is_answer: bool) -> Schema:
    """Return an object's schema with what its class cannot say."""
    properties = {}
    for name, given in schema.get("properties", {}).items():
        # Answers leave out what is null by default.
        is_left_out = is_answer and given.get("default", ...) is None
        field = translate(given["anyOf"][0] if is_left_out else given)
        properties[name] = field | ({"format": "date-time"} if name.endswith("_at") else {})
    closed = {"additionalProperties": False} if is_answer else {}
    result = schema | closed | {"properties": properties}
    del result["title"]
    return result


def translate(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Return the schema with patterns in the dialect of JSON Schema, and sizes of integers."""
    if isinstance(schema, list):
        return [translate(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result = {name: translate(part) for name, part in schema.items()}
    if result.get("type") == "integer":
        result["format"] = "int64"
    if "pattern" in result:
        result["pattern"] = result["pattern"].replace(r"\A", "^").replace(r"\Z", "$")
    return result
