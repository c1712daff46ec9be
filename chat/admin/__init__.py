"""The staff's pages at /admin: they read tables, and change them by the SQL functions only."""

from django.contrib import admin

from chat.admin import attempts, audit, bans, log, members, messages, reports, rooms, words

__all__ = [
    "attempts",
    "audit",
    "bans",
    "log",
    "members",
    "messages",
    "reports",
    "rooms",
    "words",
]

admin.site.site_header = "Besedka"
admin.site.site_title = "Besedka"
admin.site.index_title = "Chat and staff"
admin.site.index_template = "admin/chat/index.html"
# "/" leads here: there is no other site to view.
admin.site.site_url = None
