"""The system check of the hook `before_send`."""

import pytest
from django.test import override_settings

from chat.checks import check_before_send

HOOK = {
    "CHAT_BEFORE_SEND_URL": "https://app.example.com/before-send",
    "CHAT_BEFORE_SEND_SECRET": "x" * 24,
    "CHAT_BEFORE_SEND_ON_FAILURE": "refuse",
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"CHAT_BEFORE_SEND_URL": "http://app:8080"},
        {"CHAT_BEFORE_SEND_SECRET": "whsec_" + "A" * 32},
        {"CHAT_BEFORE_SEND_URL": "", "CHAT_BEFORE_SEND_SECRET": ""},
    ],
)
def test_a_hook_that_can_be_asked_is_accepted(change: dict[str, str]) -> None:
    """An address and a secret, of either form; or none."""
    with override_settings(**HOOK | change):
        assert check_before_send() == []


@pytest.mark.parametrize(
    "name, value, number",
    [
        ("CHAT_BEFORE_SEND_URL", "app.example.com", "chat.E081"),
        ("CHAT_BEFORE_SEND_URL", "https://", "chat.E081"),
        ("CHAT_BEFORE_SEND_SECRET", "", "chat.E082"),
        ("CHAT_BEFORE_SEND_SECRET", "x" * 23, "chat.E082"),
        ("CHAT_BEFORE_SEND_SECRET", "whsec_" + "A" * 28, "chat.E082"),
        ("CHAT_BEFORE_SEND_SECRET", "whsec_" + "!" * 40, "chat.E082"),
        ("CHAT_BEFORE_SEND_ON_FAILURE", "Allow", "chat.E083"),
    ],
)
def test_a_hook_that_cannot_be_asked_is_named(name: str, value: str, number: str) -> None:
    """Each mistake has its id, and the message does not show a secret."""
    with override_settings(**HOOK | {name: value}):
        (message,) = check_before_send()

    assert (message.id, message.is_serious()) == (number, True)
    assert message.hint
    assert name in message.msg
    assert name != "CHAT_BEFORE_SEND_SECRET" or not value or value not in message.msg
