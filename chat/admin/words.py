"""The word list: add, change what is done about a word, delete."""

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from chat.actions.words import delete_word, put_word
from chat.admin.base import REFUSED, ChatAdmin, is_permitted
from chat.admin.columns import show_name
from chat.admin.reports import identify
from chat.conf import WORD_MAX_LENGTH
from chat.folding import Folder
from chat.models import Word
from chat.sql.database import run_call_in_django

if TYPE_CHECKING:
    Form = forms.ModelForm[Word]
else:
    Form = forms.ModelForm

# Made once a process: it reads Unicode's table.
make_folder = cache(Folder)

ACTIONS = {
    "refuse": "Refuse the message",
    "mask": "Store it with * for each character of the word",
    "report": "Store it, and put it into the queue of reports",
}


class WordForm(Form):
    """A word and what is done about it."""

    refusal: ClassVar[str | None] = None
    action = forms.ChoiceField(choices=list(ACTIONS.items()), widget=forms.RadioSelect)

    class Meta:
        model = Word
        fields: ClassVar = ["word", "action"]

    def clean_word(self) -> str:
        """Return the word, which has to be one."""
        word: str = self.cleaned_data["word"]
        if make_folder().fold_word(word) is None:
            raise ValidationError(
                f"A word is letters and digits, at most {WORD_MAX_LENGTH} characters."
            )
        return word

    def clean(self) -> dict[str, Any] | None:
        """Show why the change was refused, where it was."""
        if self.refusal:
            raise ValidationError(self.refusal)
        return super().clean()


@admin.register(Word)
class WordAdmin(ChatAdmin):
    """A word stands for all its spellings. Changes are in force within two seconds."""

    list_display = ("word_column", "what")
    list_filter: ClassVar = []

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whether the person may add words."""
        return is_permitted(request, "add", "word")

    def has_change_permission(self, request: HttpRequest, obj: Any | None = None) -> bool:
        """Whether the person may change what is done about a word."""
        return is_permitted(request, "change", "word")

    def has_delete_permission(self, request: HttpRequest, obj: Any | None = None) -> bool:
        """Whether the person may delete words."""
        return is_permitted(request, "delete", "word")

    def get_fieldsets(self, request: HttpRequest, obj: Any | None = None) -> Any:
        """Offer the word where it is new: another word is another entry."""
        if obj is None:
            return [(None, {"fields": ["word", "action"]})]
        action = "action" if self.has_change_permission(request) else "what"
        return [(None, {"fields": ["word_column", action, "skeleton"]})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any | None = None) -> Any:
        """Show what cannot be changed."""
        return ("word_column", "what", "skeleton") if obj else ()

    def get_form(
        self,
        request: HttpRequest,
        obj: Any | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **options: Any,
    ) -> Any:
        """Return a form that can show why a change was refused."""
        options["form"] = WordForm
        options["fields"] = ["action"] if obj else ["word", "action"]
        form: Any = super().get_form(request, obj, change, **options)
        form.refusal = request.META.get(REFUSED)
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Put the word on the list, or change what is done about it."""
        skeleton = make_folder().fold_word(obj.word)
        run_call_in_django(put_word(identify(request), obj.word, skeleton or "", obj.action))
        obj.pk = Word.objects.get(skeleton=skeleton).pk

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Take the word off the list."""
        run_call_in_django(delete_word(identify(request), obj.skeleton))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Take the words off the list."""
        for word in queryset:
            self.delete_model(request, word)

    def describe(self, row: Any) -> str:
        """Name the word."""
        return show_name(row.word)

    @admin.display(description="word")
    def word_column(self, word: Word) -> SafeString:
        """Show the word as it was written."""
        return show_name(word.word)

    @admin.display(description="a message with it")
    def what(self, word: Word) -> str:
        """Show what is done."""
        return ACTIONS[word.action]
