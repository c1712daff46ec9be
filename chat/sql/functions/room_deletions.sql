-- Deleting a room: for everyone at once, and its rows in small steps.

-- The receipt of a deletion, as answers show it.
CREATE OR REPLACE FUNCTION chat.deletion_receipt(p_deletion chat_room_deletion) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'room_id', p_deletion.room_id, 'external_id', p_deletion.external_id,
        'requested_at', chat.time_text(p_deletion.requested_at),
        'finished_at', chat.time_text(p_deletion.finished_at),
        'members', p_deletion.members, 'messages', p_deletion.messages,
        'events', p_deletion.events)
$$;

-- Ends a room for everyone, and sends its members its last event. From the commit on no member, message or
-- event of it is found, no user can send or join, and its external id, its members as a direct room and
-- the key of its creation can be used for another room. Its messages and its log are deleted later, by
-- `continue_room_deletion`. One row:
--
-- outcome           meaning                                   the other columns
-- deleted           it was ended by this call                 the receipt
-- already           it was ended, or is gone, before          the receipt, as it is now
-- room_not_found    no such room                              null
-- service_required  the caller is a user                      null
--
-- The members are deleted at once, and not in steps: a member who is left for a while would still read and
-- send. As an archived private room without members and keys it is refused by every function that does not
-- look at `deleted_at`, too.
CREATE OR REPLACE FUNCTION chat.delete_room(p_by json, p_room_id bigint)
RETURNS TABLE (outcome text, receipt json) LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room;
    v_deletion chat_room_deletion;
    v_members bigint;
BEGIN
    PERFORM chat.require_read_committed();
    IF chat.actor_of(p_by) IS NOT NULL THEN
        outcome := 'service_required';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    IF v_room.id IS NULL OR v_room.deleted_at IS NOT NULL THEN
        SELECT * INTO v_deletion FROM chat_room_deletion d WHERE d.room_id = p_room_id;
        outcome := CASE WHEN FOUND THEN 'already' ELSE 'room_not_found' END;
    ELSE
        -- With the members that it had, by whose number its events have their partition.
        PERFORM chat.record_change('room_deleted', v_room, chat.audience_of(v_room), NULL, NULL);
        DELETE FROM chat_member m WHERE m.room_id = p_room_id;
        GET DIAGNOSTICS v_members = ROW_COUNT;
        DELETE FROM chat_room_key k WHERE k.room_id = p_room_id;
        DELETE FROM chat_invite i WHERE i.room_id = p_room_id;
        UPDATE chat_room r
        SET kind = 'private', external_id = NULL, direct_key = NULL, data = NULL, member_count = 0,
            archived_at = clock_timestamp(), deleted_at = clock_timestamp()
        WHERE r.id = p_room_id;
        INSERT INTO chat_room_deletion (
            room_id, external_id, requested_by, requested_at, members, messages, events)
        VALUES (p_room_id, v_room.external_id, p_by ->> 'id', clock_timestamp(), v_members, 0, 0)
        RETURNING * INTO v_deletion;
        PERFORM chat.write_audit(p_by, 'room_deleted', p_room_id, NULL, json_build_object(
            'name', v_room.name, 'kind', v_room.kind, 'external_id', v_room.external_id));
        outcome := 'deleted';
    END IF;
    IF v_deletion.id IS NOT NULL THEN
        receipt := chat.deletion_receipt(v_deletion);
    END IF;
    RETURN NEXT;
END $$;

-- Deletes some rows of rooms that were deleted, of the one that was deleted first, and in the end the room
-- itself: a step of a work that goes on wherever the last step was committed. One row: `busy` if another
-- session is at it; `nothing` if no deletion is open; `step`; or `finished`, with the room.
--
-- p_limit: how many rows at most; the step is one short transaction. The order is that of what refers to
-- what. Of a room without members nobody writes rows; what a call wrote that began before is found by the
-- next step, because the room itself can only be deleted when nothing refers to it.
CREATE OR REPLACE FUNCTION chat.continue_room_deletion(p_limit int)
RETURNS TABLE (outcome text, room_id bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_deletion chat_room_deletion;
    v_left int := p_limit;
    v_events int;
    v_messages int := 0;
BEGIN
    PERFORM chat.require_read_committed();
    IF (p_limit BETWEEN 1 AND 100000) IS NOT TRUE THEN
        PERFORM chat.refuse_argument('continue_room_deletion: p_limit is not 1 to 100,000');
    END IF;
    outcome := 'busy';
    IF NOT pg_try_advisory_xact_lock(7331005) THEN
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT * INTO v_deletion FROM chat_room_deletion d
    WHERE d.finished_at IS NULL ORDER BY d.id LIMIT 1;
    IF NOT FOUND THEN
        outcome := 'nothing';
        RETURN NEXT;
        RETURN;
    END IF;

    outcome := 'step';
    room_id := v_deletion.room_id;
    DELETE FROM chat_event e WHERE e.id = ANY (ARRAY(
        SELECT o.id FROM chat_event o WHERE o.room_id = v_deletion.room_id
        ORDER BY o.version LIMIT v_left));
    GET DIAGNOSTICS v_events = ROW_COUNT;
    v_left := v_left - v_events;
    IF v_left > 0 THEN
        DELETE FROM chat_message m WHERE m.id = ANY (ARRAY(
            SELECT o.id FROM chat_message o WHERE o.room_id = v_deletion.room_id
            ORDER BY o.seq LIMIT v_left));
        GET DIAGNOSTICS v_messages = ROW_COUNT;
        v_left := v_left - v_messages;
    END IF;
    IF v_left > 0 THEN
        WITH reports AS MATERIALIZED (
            SELECT o.id FROM chat_report o WHERE o.room_id = v_deletion.room_id
            ORDER BY o.id LIMIT v_left
        ), decisions AS (
            DELETE FROM chat_decision d WHERE d.report_id = ANY (ARRAY(SELECT id FROM reports))
        ), deleted AS (
            DELETE FROM chat_report p WHERE p.id = ANY (ARRAY(SELECT id FROM reports)) RETURNING 1
        )
        SELECT v_left - count(*) INTO v_left FROM deleted;
    END IF;
    IF v_left > 0 THEN
        WITH deleted AS (
            DELETE FROM chat_ban b WHERE b.id = ANY (ARRAY(
                SELECT o.id FROM chat_ban o WHERE o.room_id = v_deletion.room_id
                ORDER BY o.user_id LIMIT v_left)) RETURNING 1
        )
        SELECT v_left - count(*) INTO v_left FROM deleted;
    END IF;
    IF v_left > 0 THEN
        DELETE FROM chat_room r WHERE r.id = v_deletion.room_id;
        outcome := 'finished';
    END IF;
    UPDATE chat_room_deletion d
    SET events = d.events + v_events, messages = d.messages + v_messages,
        finished_at = CASE WHEN outcome = 'finished' THEN clock_timestamp() END
    WHERE d.id = v_deletion.id;
    RETURN NEXT;
END $$;
