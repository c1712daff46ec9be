"""The Django application."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ChatApplication(AppConfig):
    """Registers the system checks and installs the SQL functions after `migrate`."""

    name = "chat"
    verbose_name = "Chat"

    def ready(self) -> None:
        """Connect what Django has to call."""
        from django.db.backends.postgresql.features import DatabaseFeatures  # noqa: PLC0415

        from chat import checks, identity_checks  # noqa: F401, PLC0415 - they need loaded settings
        from chat.sql.install import install_after_migrate  # noqa: PLC0415 - needs loaded apps
        from chat.sql.server import POSTGRESQL_LEAST  # noqa: PLC0415

        # Django refuses each connection to an older server before its first statement. It has no
        # setting for the version.
        DatabaseFeatures.minimum_database_version = (POSTGRESQL_LEAST,)

        post_migrate.connect(install_after_migrate, sender=self)
