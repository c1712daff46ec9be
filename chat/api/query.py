"""Reading a query string into a struct. The struct parses, bounds and describes it.

    class ListEventsQuery(msgspec.Struct, frozen=True):
        limit: Limit = PAGE_DEFAULT
        after: Annotated[int, Meta(ge=0, le=BIGINT_MAX, description="A version.")] = 0

    query = parse_query(request, ListEventsQuery)

The OpenAPI description of the parameters and the errors are made from the same struct.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec
from msgspec import Meta

from chat.api.paths import parse_number
from chat.api.security import ApiRequest
from chat.conf import BIGINT_MAX, PAGE_DEFAULT, PAGE_MAX
from chat.errors import InvalidInputError

Query = TypeVar("Query", bound=msgspec.Struct)

Limit = Annotated[
    int,
    Meta(ge=1, le=PAGE_MAX, description="How many entries a page has at most.", examples=[20]),
]
CursorText = Annotated[str, Meta(description="A place in the list, from `next` or `previous`.")]


class PageQuery(msgspec.Struct, frozen=True):
    """The query of a list with cursors."""

    limit: Limit = PAGE_DEFAULT
    cursor: CursorText = ""


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of a query: how it is read, and its JSON schema."""

    kind: Any
    schema: Mapping[str, Any]
    is_required: bool

    def read(self, name: str, values: list[str]) -> object:
        """Return the value. Errors: `InvalidInputError`, for several values or a wrong one."""
        text = values[0] if len(values) == 1 else None
        value = _READERS.get(self.schema.get("type", ""), str)(text) if text is not None else None
        if value is None:
            raise self.refuse(name)
        try:
            return msgspec.convert(value, self.kind)
        except msgspec.ValidationError:
            raise self.refuse(name) from None

    def refuse(self, name: str) -> InvalidInputError:
        """Return the error that says what the parameter must be."""
        if choices := self.schema.get("enum"):
            return InvalidInputError(f"{name} must be one of {', '.join(choices)}.", pointer=name)
        if self.schema["type"] == "integer":
            low, high = self.schema["minimum"], self.schema["maximum"]
            bounds = f"from {low} to {high}" if high < BIGINT_MAX else f"of {low} or more"
            return InvalidInputError(f"{name} must be one whole number {bounds}.", pointer=name)
        if self.schema["type"] == "boolean":
            return InvalidInputError(f"{name} must be true or false, once.", pointer=name)
        high = self.schema.get("maxLength")
        bounds = f" of up to {high} characters" if high else ""
        example = f", for example {self.schema['examples'][0]}" if self.is_required else ""
        return InvalidInputError(f"{name} must be one text{bounds}{example}.", pointer=name)


_FLAGS: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}
_READERS: Mapping[str, Callable[[str], object | None]] = {
    "integer": parse_number,
    "boolean": _FLAGS.get,
}
"""How the texts of each type of JSON are read; None where one cannot be."""


@cache
def read_parameters(schema: type[msgspec.Struct]) -> Mapping[str, Parameter]:
    """Return the parameters of a query by name, each with the JSON schema of its values."""
    kinds = get_type_hints(schema, include_extras=True)
    _, components = msgspec.json.schema_components([schema])
    described = components[schema.__name__]
    return {
        name: Parameter(
            kinds[name],
            # An optional parameter is left out, never null.
            {key: value for key, value in given.items() if key != "anyOf"}
            | (given["anyOf"][0] if "anyOf" in given else {}),
            name in described.get("required", ()),
        )
        for name, given in described["properties"].items()
    }


def parse_query(request: ApiRequest, schema: type[Query]) -> Query:
    """Return the request's query; parameters that the struct does not have are ignored.

    Errors: `InvalidInputError`, with the parameter's name as its pointer.
    """
    given: dict[str, object] = {}
    for name, parameter in read_parameters(schema).items():
        if values := request.query_params.getall(name, []):
            given[name] = parameter.read(name, values)
        elif parameter.is_required:
            raise parameter.refuse(name)
    return schema(**given)
