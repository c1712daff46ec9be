"""The queue of reports: one after another, with what it takes to decide."""

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import now

from chat.actions.caller import Caller
from chat.actions.reports import NewDecision, decide_report
from chat.admin.base import ChatAdmin, is_permitted
from chat.admin.columns import NOTHING, link_list, shorten, show_age, show_name
from chat.admin.lists import Term, read_user
from chat.admin.refusals import REFUSALS, explain
from chat.conf import REASON_MAX_LENGTH
from chat.errors import ConflictError
from chat.models import Message, Report
from chat.queries.reports import Decision, ReportInContext, get_report
from chat.sql.database import run_call_in_django
from chat.visible import make_visible

COUNTED_MOST = 100
"""Reports of one user that the queue counts."""
OTHERS_SHOWN = 10
"""Reports of the same user on the page of one; a list has them all."""
DURATIONS = {
    "hour": ("for an hour", timedelta(hours=1)),
    "day": ("for a day", timedelta(days=1)),
    "week": ("for a week", timedelta(weeks=1)),
    "month": ("for 30 days", timedelta(days=30)),
    "ever": ("for ever", None),
}


def identify(request: HttpRequest) -> Caller:
    """Return the member of staff who makes a change."""
    return Caller("staff", request.user.get_username(), request.META.get("REMOTE_ADDR"))


class State(admin.SimpleListFilter):
    """The queue, what was decided, or both."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices beside the default, which is the queue."""
        return [("decided", "Decided"), ("all", "All")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Name the default."""
        first, *others = super().choices(changelist)
        yield {**first, "display": "Open"}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow the list."""
        if self.value() == "all":
            return queryset
        return queryset.filter(decision__isnull=self.value() != "decided")


class DecisionForm(forms.Form):
    """What is decided about a report."""

    decision = forms.ChoiceField(widget=forms.RadioSelect)
    duration = forms.ChoiceField(
        label="How long",
        choices=[(name, text) for name, (text, _) in DURATIONS.items()],
        initial="day",
        required=False,
        help_text="for muting",
    )
    note = forms.CharField(
        required=False,
        max_length=REASON_MAX_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text="for colleagues; users do not see it",
    )
    expected = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, report: ReportInContext, *args: Any) -> None:
        super().__init__(*args)
        field = self.fields["decision"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - it is declared above
        field.choices = _list_choices(report)
        self.fields["expected"].initial = report.decisions[0].id if report.decisions else None

    def expect(self, decision_id: int | None) -> None:
        """Let a form that was sent replace this decision when it is sent once more."""
        self.data = dict(self.data.items()) | {"expected": str(decision_id or "")}

    def read(self) -> NewDecision:
        """Return what a valid form says."""
        given = self.cleaned_data
        _, length = DURATIONS[given["duration"] or "ever"]
        until = None
        if given["decision"] == "mute" and length is not None:
            # To the minute, so that a form that is sent twice is one decision.
            until = now().replace(second=0, microsecond=0) + length
        return NewDecision(given["decision"], given["note"], until, given["expected"])


def _list_choices(report: ReportInContext) -> list[tuple[str, str]]:
    """Return what can be decided about this report."""
    choices = [("keep", "Keep: nothing is changed")]
    if report.message is not None and report.message.deleted_at is None:
        choices.append(("delete", "Delete the message for everyone"))
    if report.room_id is not None:
        choices.append(("mute", "Mute the user in this room"))
    return choices


@admin.register(Report)
class ReportAdmin(ChatAdmin):
    """Reports are made by users, and only decided here."""

    terms: ClassVar = {
        "user": Term("Reported user", "user_id", read_user),
        "id": Term("Report id", "id"),
    }
    list_filter: ClassVar = [State, *ChatAdmin.list_filter]
    list_display = ("id", "reported", "text", "reason_column", "by", "age")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow the state beside the terms."""
        return lookup == State.parameter_name or super().lookup_allowed(lookup, value, request)

    def get_list_display(self, request: HttpRequest) -> Any:
        """Show decisions where there can be some."""
        return (*self.list_display, *(["result"] if "state" in request.GET else []))

    def get_list_order(self, words: Collection[str]) -> str:
        """Return the oldest first in the queue, else the latest."""
        return "-id" if "state" in words else "id"

    def has_change_permission(self, request: HttpRequest, obj: Any | None = None) -> bool:
        """Whether the person may decide."""
        return is_permitted(request, "change", "report")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Read with each report its message's text, and how often the user was reported."""
        message = Message.objects.filter(pk=OuterRef("message_id"))
        of_user = Report.objects.filter(user_id=OuterRef("user_id")).order_by("pk")
        reports: QuerySet[Any] = super().get_queryset(request)
        annotated: QuerySet[Any] = reports.annotate(
            content=Subquery(message.values("content")[:1]),
            # Bounded, and no count of all rows: so many are shown as "100 or more".
            of_user=ArraySubquery(of_user.values("pk")[:COUNTED_MOST]),
        )
        return annotated

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a report with its context, or decide about it and go on to the next one."""
        report = self.get_object(request, unquote(object_id))
        if report is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if not self.has_view_or_change_permission(request, report):
            raise PermissionDenied
        content = run_call_in_django(get_report(report.pk))
        form = DecisionForm(content)
        if request.method == "POST":
            if not self.has_change_permission(request, report):
                raise PermissionDenied
            form = DecisionForm(content, request.POST)
            if form.is_valid() and self._decide(request, report, form):
                return HttpResponseRedirect(self._find_next(report))
            content = run_call_in_django(get_report(report.pk))
        return self._show(request, report, content, form)

    def _decide(self, request: HttpRequest, report: Report, form: DecisionForm) -> bool:
        """Decide; return whether it was done. If not, the page says why, and nothing was done."""
        try:
            with transaction.atomic():
                call = decide_report(identify(request), report.pk, form.read())
                decided = run_call_in_django(call)
                if not decided.is_duplicate:
                    self.log_change(request, report, f"Decided: {decided.decision.decision}.")
        except ConflictError:
            decisions = run_call_in_django(get_report(report.pk)).decisions
            form.expect(decisions[0].id if decisions else None)
            messages.error(request, _describe_conflict(decisions))
            return False
        except REFUSALS as error:
            form.add_error(None, explain(error))
            return False
        shown = format_html(
            'Report <a href="{}">{}</a> is decided: {}.',
            reverse("admin:chat_report_change", args=[report.pk]),
            report.pk,
            decided.decision.decision,
        )
        messages.success(request, shown)
        return True

    def _find_next(self, report: Report) -> str:
        """Return the address of the next open report, or of the queue."""
        is_open = Report.objects.filter(decision__isnull=True)
        following = is_open.filter(pk__gt=report.pk).order_by("pk").first()
        if following is None:
            return reverse("admin:chat_report_changelist")
        return reverse("admin:chat_report_change", args=[following.pk])

    def _show(
        self, request: HttpRequest, report: Report, content: ReportInContext, form: DecisionForm
    ) -> HttpResponse:
        others = Report.objects.filter(user_id=report.user_id).exclude(pk=report.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Report {report.pk}",
            "opts": self.opts,
            "media": self.media,
            "report": report,
            "age": show_age(report.created_at),
            "content": content,
            "others": others.order_by("-pk")[:OTHERS_SHOWN],
            "form": form if self.has_change_permission(request, report) else None,
            "waiting": Report.objects.filter(decision__isnull=True)[:1000].count(),
        }
        return TemplateResponse(request, "admin/chat/report/change.html", context)

    @admin.display(description="reported user")
    def reported(self, report: Any) -> SafeString:
        """Show who is reported, with a link to all reports of this user, and how many there are."""
        address = f"{reverse('admin:chat_report_changelist')}?"
        address += urlencode({"user": report.user_id, "state": "all"})
        count = len(report.of_user)
        more = " or more" if count == COUNTED_MOST else ""
        text = f"{count}{more} reports" if count > 1 else "1 report"
        return format_html(
            '{}<div class="quiet"><a href="{}">{}</a></div>',
            link_list("message", report.user_id, user=report.user_id),
            address,
            text,
        )

    @admin.display(description="message")
    def text(self, report: Any) -> str:
        """Show the beginning of the message's text."""
        if report.message_id is None:
            return NOTHING
        return shorten(report.content) if report.content else _say_deleted()

    @admin.display(description="reason")
    def reason_column(self, report: Report) -> str:
        """Show the beginning of the reason."""
        return shorten(report.reason)

    @admin.display(description="reported by")
    def by(self, report: Report) -> SafeString:
        """Show who made the report."""
        return show_name(report.reported_by)

    @admin.display(description="age")
    def age(self, report: Report) -> SafeString:
        """Show how long ago it was made."""
        return show_age(report.created_at)

    @admin.display(description="decision")
    def result(self, report: Report) -> str:
        """Show the last decision."""
        return report.decision or NOTHING


def _describe_conflict(decisions: list[Decision]) -> SafeString | str:
    """Say who was faster."""
    if not decisions:
        return "Nobody has decided about this report yet. Nothing was changed; try again."
    last = decisions[0]
    return format_html(
        "<bdi>{}</bdi> was faster and decided: {}. Your decision was not carried out. To replace "
        "the one of <bdi>{}</bdi> with yours, send it again.",
        make_visible(last.decided_by),
        last.decision,
        make_visible(last.decided_by),
    )


def _say_deleted() -> SafeString:
    return format_html('<em class="deleted-message">{}</em>', "deleted")
