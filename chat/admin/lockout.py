"""The page for a name that is locked after too many wrong passwords."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def answer_locked_out(request: HttpRequest, *_: object) -> HttpResponse:
    """Answer 429 with the time to wait; the answer is the same for a name that does not exist."""
    minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
    page = "admin/chat/locked_out.html"
    answer = render(request, page, {"minutes": minutes, "title": "Locked"}, status=429)
    answer["Retry-After"] = str(minutes * 60)
    return answer
