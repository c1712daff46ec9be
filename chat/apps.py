"""The Django application."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ChatApplication(AppConfig):
    """Registers the system checks and installs the SQL functions after `migrate`."""

    name = "chat"
    verbose_name = "Chat"

    def ready(self) -> None:
        """Connect what Django has to call."""
        from chat import checks, identity_checks  # noqa: F401, PLC0415 - they need loaded settings
        from chat.sql.install import install_after_migrate  # noqa: PLC0415 - needs loaded apps

        post_migrate.connect(install_after_migrate, sender=self)
