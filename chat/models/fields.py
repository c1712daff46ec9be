"""Kinds of columns."""

from django.db import models


class JSONTextField(models.JSONField):
    """A `json` column: kept as written, where `jsonb` would parse and reorder it."""

    def db_type(self, connection: object) -> str:  # noqa: ARG002 - Django's signature
        """Return the column type."""
        return "json"

    def from_db_value(self, value: object, *_: object) -> object:
        """Return what the driver parsed: Django parses `jsonb` itself, and leaves `json` to it."""
        return value


class ExactCharField(models.CharField):  # type: ignore[type-arg]  # not one at run time
    """A key whose index in the collation C serves LIKE: Django adds no second index for it."""

    def db_type(self, connection: object) -> str:  # noqa: ARG002 - Django's signature
        """Return the column type by the name for which Django makes no such index."""
        return f"character varying({self.max_length})"
