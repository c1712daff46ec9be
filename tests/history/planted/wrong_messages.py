"""Defects of messages, and of pages of messages."""

from tests.history.draft import Draft
from tests.history.planted.planting import caught_by
from tests.history.verdict import Check


@caught_by(Check.FINAL_READS_AGREE)
def api_shows_another_text(draft: Draft) -> None:
    """The API and the table differ in a text."""
    draft.one("final_api", room=1)["messages"][7][4] = "another"


@caught_by(Check.FINAL_READS_AGREE)
def api_leaves_out_the_newest(draft: Draft) -> None:
    """The API does not show the last message."""
    draft.one("final_api", room=2)["messages"].pop()


@caught_by(Check.FINAL_READS_AGREE)
def room_is_not_read_by_the_api(draft: Draft) -> None:
    """One room was not compared."""
    draft.drop(draft.one("final_api", room=2))


@caught_by(Check.FINAL_READS_AGREE, Check.APPLIED_AS_LOGGED)
def deleted_text_stays_in_the_table(draft: Draft) -> None:
    """A message is deleted, and its text is still in the table."""
    rows = draft.one("final_db", room=1)["messages"]
    row = next(row for row in rows if row["deleted"] and row["id"] not in draft.shown())
    (send,) = draft.of("invoke", action="send", key=row["key"], room=1)[:1]
    for entry in draft.one("final_api", room=1)["messages"]:
        if entry[1] == row["id"]:
            entry[4] = send["content"]
    row["content"] = send["content"]


@caught_by(Check.CHANGES_LAST)
def message_is_lost(draft: Draft) -> None:
    """An acknowledged message is lost; in its place is one whose sender gave up."""
    lost = [call for call, _ in draft.calls("send", "info") if draft.row(call) is None]
    other, row = next(
        (given_up, row)
        for (call, _), row in draft.stored("ok")
        for given_up in lost
        if (given_up["room"], given_up["user"]) == (call["room"], call["user"])
        and given_up["at"] < call["at"]
    )
    draft.rewrite(row, key=other["key"], content=other["content"])


@caught_by(Check.CHANGES_LAST)
def row_of_an_acknowledgement_is_rolled_back(draft: Draft) -> None:
    """The answer had an id and the next seq, and the message does not exist."""
    last = draft.one("final_db", room=1)["messages"][-1]
    at = draft.one("rest")["at"] - 1.5
    answer = {"id": last["id"] + 1, "seq": last["seq"] + 1}
    draft.add_call(at, "send", "ok", answer, room=1, user="user1", key="gone", content="gone")


@caught_by(Check.CHANGES_LAST)
def text_is_altered(draft: Draft) -> None:
    """A message is stored, published and shown with another text than was sent."""
    shown = draft.shown()
    row = next(row for _, row in draft.stored("ok") if row["id"] not in shown)
    draft.rewrite(row, content="altered")


@caught_by(Check.CHANGES_LAST)
def message_is_renumbered(draft: Draft) -> None:
    """The answer had another seq than the message has."""
    (_, end), _ = draft.stored("ok")[50]
    end["seq"] += 1


@caught_by(Check.CHANGES_LAST)
def message_has_another_id(draft: Draft) -> None:
    """The answer had an id that no message has."""
    (_, end), _ = draft.stored("ok")[50]
    end["id"] += 1_000_000


@caught_by(Check.CHANGES_LAST)
def deletion_is_undone(draft: Draft) -> None:
    """A deletion was acknowledged, and the text is still there."""
    rows = {row["id"]: row for row in draft.one("final_db", room=1)["messages"]}
    for call, _ in draft.calls("delete", "ok"):
        row = rows.get(call["id"])
        added = [record for record in draft.mentions(call["id"]) if "added" in record["event_type"]]
        if row and row["seq"] < len(rows) - 200 and all(record["content"] for record in added):
            (send,) = draft.of("invoke", action="send", room=1, key=row["key"])[:1]
            row |= {"deleted": False, "content": send["content"]}
            draft.one("final_api", room=1)["messages"][row["seq"] - 1][4] = send["content"]
            return


@caught_by(Check.CHANGES_LAST, Check.PAGES_COMPLETE, Check.UNREAD_COUNTS)
def message_is_deleted_unasked(draft: Draft) -> None:
    """A text is missing, and nobody deleted it."""
    for call, end in draft.calls("delete", "ok")[:3]:
        draft.drop(call, end)


@caught_by(Check.CHANGES_LAST)
def join_is_lost(draft: Draft) -> None:
    """A user was added, as the answer said, and is no member."""
    final = draft.one("final_db", room=1)
    draft.add_call(
        draft.one("rest")["at"] - 1.5,
        "add",
        "ok",
        {"version": final["version"]},
        room=1,
        user="late",
    )


@caught_by(Check.NOTHING_INVENTED)
def message_nobody_sent(draft: Draft) -> None:
    """A message is stored that nobody sent."""
    (call, end), _ = draft.stored("info")[0]
    draft.drop(call, end)


@caught_by(Check.NOTHING_INVENTED)
def refused_message_is_stored(draft: Draft) -> None:
    """The answer was a refusal, and the message is stored."""
    (_, end), _ = draft.stored("info")[0]
    end["type"] = "fail"


@caught_by(Check.NOTHING_INVENTED, Check.PAGES_COMPLETE)
def unanswered_text_is_altered(draft: Draft) -> None:
    """A message without an answer is stored with another text than was sent."""
    _, row = draft.stored("info")[0]
    draft.rewrite(row, content="altered")


@caught_by(Check.ONE_KEY_ONE_MESSAGE)
def message_is_stored_twice(draft: Draft) -> None:
    """One key has two rows; the second was stored long after the first was acknowledged."""
    first, second = next(
        (call, row)
        for (other, _), row in draft.stored("info")
        for (call, _), _ in draft.stored("ok")
        if (call["room"], call["user"]) == (other["room"], other["user"])
        and call["at"] < other["at"]
    )
    draft.rewrite(second, key=first["key"], content=first["content"])


@caught_by(Check.ONE_KEY_ONE_MESSAGE)
def retry_is_answered_with_another_id(draft: Draft) -> None:
    """Two answers for one key have different ids."""
    (call, end), _ = draft.stored("ok")[20]
    again = {name: call[name] for name in ("room", "user", "key", "content")}
    draft.add_call(end["at"] + 1, "send", "ok", {"id": end["id"] + 1, "seq": end["seq"]}, **again)


@caught_by(Check.ONE_ORDER)
def seq_is_left_out(draft: Draft) -> None:
    """The last message of a room skips a seq."""
    final = draft.one("final_db", room=2)
    row = final["messages"][-1]
    for end in draft.of("ok", id=row["id"]):
        end["seq"] += 1
    draft.rewrite(row, seq=row["seq"] + 1)
    final["last_seq"] += 1


@caught_by(Check.ONE_ORDER)
def last_seq_is_behind(draft: Draft) -> None:
    """The room's counter does not count its last message."""
    draft.one("final_db", room=2)["last_seq"] -= 1


@caught_by(Check.ONE_ORDER)
def ids_do_not_rise(draft: Draft) -> None:
    """Two neighbouring messages have each other's id, in all records."""
    one, other = (row["id"] for row in draft.one("final_db", room=1)["messages"][10:12])
    swapped = {one: other, other: one}
    for record in draft.records:
        if record.get("id") in swapped:
            record["id"] = swapped[record["id"]]
        for event in record.get("events", ()):
            event["id"] = swapped.get(event["id"], event["id"])
        for entry in record.get("messages", ()):
            place = "id" if isinstance(entry, dict) else 1
            entry[place] = swapped.get(entry[place], entry[place])


@caught_by(Check.ONE_ORDER)
def later_message_comes_before(draft: Draft) -> None:
    """A message was acknowledged before the one with the seq before it was sent."""
    times = sorted(call["at"] for call in draft.of("invoke", action="read_page", room=1))
    placed = {row["seq"]: call for call, row in draft.stored("ok") if call[0]["room"] == 1}
    for seq, (call, end) in placed.items():
        sent = placed[seq - 1][0]["at"] if seq - 1 in placed else 0
        if sent and not any(sent - 0.1 < at < end["at"] for at in times):
            call["at"], end["at"] = sent - 0.002, sent - 0.001
            return


@caught_by(Check.PAGES_COMPLETE)
def page_is_stale(draft: Draft) -> None:
    """Pages end before messages that were acknowledged before the pages were requested."""
    for _, end in draft.pages():
        del end["messages"][1:]


@caught_by(Check.PAGES_COMPLETE)
def empty_page_is_stale(draft: Draft) -> None:
    """Pages are empty although there were messages."""
    for _, end in draft.pages():
        end["messages"].clear()


@caught_by(Check.PAGES_COMPLETE)
def page_has_a_gap(draft: Draft) -> None:
    """A page lacks a message between two that it shows."""
    del draft.pages()[0][1]["messages"][2]


@caught_by(Check.PAGES_COMPLETE)
def page_shows_what_was_rolled_back(draft: Draft) -> None:
    """A page shows a message that does not exist at the end."""
    messages = draft.pages()[0][1]["messages"]
    messages.append([messages[-1][0] + 1, messages[-1][1] + 1_000_000, "gone", "gone"])


@caught_by(Check.PAGES_COMPLETE)
def page_exceeds_its_limit(draft: Draft) -> None:
    """A page has more messages than its limit."""
    call, end = draft.pages()[0]
    call["limit"] = len(end["messages"]) - 1


@caught_by(Check.PAGES_COMPLETE)
def page_shows_another_text(draft: Draft) -> None:
    """A page shows a message with a text that it never had."""
    entry = next(entry for _, end in draft.pages() for entry in end["messages"] if entry[3])
    entry[3] = "another"


@caught_by(Check.PAGES_COMPLETE)
def page_shows_a_deleted_text(draft: Draft) -> None:
    """A text is shown after its deletion was acknowledged."""
    gone = {call["id"]: end["at"] for call, end in draft.calls("delete", "ok")}
    entry = next(
        entry
        for call, end in draft.calls("read_page", "ok")
        for entry in end["messages"]
        if gone.get(entry[1], call["at"]) < call["at"]
    )
    entry[3] = draft.one("invoke", action="send", key=entry[2])["content"]


@caught_by(Check.PAGES_COMPLETE)
def page_shows_another_id(draft: Draft) -> None:
    """A page shows a message with a wrong id."""
    draft.pages()[0][1]["messages"][2][1] += 1_000_000


@caught_by(Check.PAGES_COMPLETE)
def page_shows_what_is_not_yet_sent(draft: Draft) -> None:
    """A page was answered before its last message was sent."""
    call, end = draft.pages()[0]
    send = draft.one("invoke", action="send", key=end["messages"][-1][2])
    call["at"], end["at"] = send["at"] - 0.002, send["at"] - 0.001


@caught_by(Check.PAGES_COMPLETE)
def page_hides_a_text(draft: Draft) -> None:
    """A text is missing before its deletion was requested."""
    gone = {call["id"] for call in draft.of("invoke", action="delete")}
    entry = next(
        entry for _, end in draft.pages() for entry in end["messages"] if entry[1] not in gone
    )
    entry[3] = ""


@caught_by(Check.PAGES_COMPLETE)
def page_forgets_what_another_showed(draft: Draft) -> None:
    """A page lacks a message that only an earlier page had shown."""
    last = draft.pages()[-1][1]["messages"][-1]
    begun = draft.pages()[-1][1]["at"]
    send = draft.one("invoke", action="send", key=last[2])
    for end in [end for end in draft.of("ok", id=last[1]) if "seq" in end]:
        end["type"] = "info"
    room = draft.pages()[-1][0]["room"]
    draft.add_call(
        begun + 0.001,
        "read_page",
        "ok",
        {"messages": []},
        room=room,
        user=send["user"],
        after=last[0] - 1,
        limit=50,
    )
