"""The staff's pages at /admin: they read tables, and change them by the SQL functions only."""

from axes.models import AccessFailureLog
from django.contrib import admin

from chat.admin import log, members, messages, rooms

__all__ = ["log", "members", "messages", "rooms"]

# Only the attempts are kept, so this list would always be empty.
admin.site.unregister(AccessFailureLog)

admin.site.site_header = "Besedka"
admin.site.site_title = "Besedka"
admin.site.index_title = "Chat and staff"
# "/" leads here: there is no other site to view.
admin.site.site_url = None
