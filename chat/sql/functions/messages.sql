-- Sending and deleting.

-- Sends messages, each with its own outcome row; a retry with the same key is the same message.
--
-- The four arrays are parallel, one entry a message. Rooms are taken in id order, so two calls can
-- never wait for each other in a circle. In each room: lock the room row, look the key up in a new
-- statement (it sees what the last holder of the lock committed), then allocate. A message that is
-- refused allocates nothing, so seqs and versions have no gaps.
--
-- p_wait: true waits for a locked room (bounded by lock_timeout); false answers `busy` for it.
--
-- outcome     meaning                                          the other columns
-- sent        stored, logged and queued for every member       set
-- duplicate   this sender's key is known here, same content    the first message's
-- conflict    this sender's key is known here, other content   null
-- not_member  no such room, or the sender is not in it         null
-- busy        the room is locked elsewhere (p_wait false)      null
-- invalid     no content, or a key that is not 1 to 64 long    null
CREATE OR REPLACE FUNCTION chat.send_messages(
    p_room_ids bigint[], p_user_ids text[], p_client_ids text[], p_contents text[],
    p_wait boolean DEFAULT true
) RETURNS TABLE (
    ordinal int, outcome text, message_id bigint, message_seq bigint, sent_at text,
    deleted_at text
) LANGUAGE plpgsql AS $$
DECLARE
    v_group record;
    v_room chat_room;
    v_first record;
    v_message chat_message;
    v_now timestamptz;
    v_channels text[];
    v_last_seq bigint;
BEGIN
    PERFORM chat.require_read_committed();
    IF cardinality(p_user_ids) <> cardinality(p_room_ids)
        OR cardinality(p_client_ids) <> cardinality(p_room_ids)
        OR cardinality(p_contents) <> cardinality(p_room_ids)
    THEN
        RAISE EXCEPTION 'send_messages: the arrays differ in length'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR v_group IN
        SELECT item.room_id, array_agg(item.n::int ORDER BY item.n) AS ordinals
        FROM unnest(p_room_ids) WITH ORDINALITY AS item (room_id, n)
        GROUP BY item.room_id ORDER BY item.room_id
    LOOP
        IF p_wait THEN
            SELECT * INTO v_room FROM chat_room r WHERE r.id = v_group.room_id
            FOR NO KEY UPDATE;
        ELSE
            SELECT * INTO v_room FROM chat_room r WHERE r.id = v_group.room_id
            FOR NO KEY UPDATE SKIP LOCKED;
            IF NOT FOUND AND EXISTS (SELECT FROM chat_room r WHERE r.id = v_group.room_id) THEN
                FOREACH ordinal IN ARRAY v_group.ordinals LOOP
                    outcome := 'busy';
                    RETURN NEXT;
                END LOOP;
                CONTINUE;
            END IF;
        END IF;
        v_last_seq := v_room.last_seq;
        v_channels := NULL;
        v_now := clock_timestamp();

        FOREACH ordinal IN ARRAY v_group.ordinals LOOP
            message_id := NULL;
            message_seq := NULL;
            sent_at := NULL;
            deleted_at := NULL;

            IF coalesce(p_contents[ordinal], '') = ''
                OR coalesce(char_length(p_client_ids[ordinal]), 0) NOT BETWEEN 1 AND 64
            THEN
                outcome := 'invalid';
                RETURN NEXT;
                CONTINUE;
            END IF;

            -- The key comes before membership: a retry of a message that was accepted must hear
            -- so even if its sender was removed in between.
            SELECT m.id, m.seq, m.created_at, m.content, m.deleted_at INTO v_first
            FROM chat_message m
            WHERE m.room_id = v_group.room_id AND m.user_id = p_user_ids[ordinal]
              AND m.client_id = p_client_ids[ordinal];
            IF FOUND THEN
                -- A deleted text cannot be compared any more; the key alone says which it was.
                IF v_first.content = p_contents[ordinal] OR v_first.deleted_at IS NOT NULL THEN
                    outcome := 'duplicate';
                    message_id := v_first.id;
                    message_seq := v_first.seq;
                    sent_at := chat.time_text(v_first.created_at);
                    deleted_at := chat.time_text(v_first.deleted_at);
                ELSE
                    outcome := 'conflict';
                END IF;
                RETURN NEXT;
                CONTINUE;
            END IF;

            PERFORM FROM chat_member m
            WHERE m.room_id = v_group.room_id AND m.user_id = p_user_ids[ordinal];
            IF NOT FOUND THEN
                outcome := 'not_member';
                RETURN NEXT;
                CONTINUE;
            END IF;

            v_channels := coalesce(v_channels, chat.audience(v_group.room_id));
            v_room.version := v_room.version + 1;
            v_room.last_seq := v_room.last_seq + 1;
            INSERT INTO chat_message (room_id, seq, user_id, client_id, content, created_at)
            VALUES (v_room.id, v_room.last_seq, p_user_ids[ordinal], p_client_ids[ordinal],
                    p_contents[ordinal], v_now)
            RETURNING * INTO v_message;
            INSERT INTO chat_event (
                room_id, version, type, message_id, user_id, member_count, bumped_at, created_at)
            VALUES (v_room.id, v_room.version, 'message_added', v_message.id, v_message.user_id,
                    v_room.member_count, v_now, v_now);
            PERFORM chat.queue_event(
                v_room.id, v_room.version, v_channels,
                chat.message_event(
                    'message_added',
                    chat.event_room(
                        v_room.id, v_room.name, v_room.version, v_now, v_room.member_count),
                    v_message));
            message_id := v_message.id;
            outcome := 'sent';
            message_seq := v_room.last_seq;
            sent_at := chat.time_text(v_now);
            RETURN NEXT;
        END LOOP;

        IF v_room.last_seq > v_last_seq THEN
            UPDATE chat_room r
            SET version = v_room.version, last_seq = v_room.last_seq, bumped_at = v_now
            WHERE r.id = v_room.id;
        END IF;
    END LOOP;
END $$;

-- Deletes a message's text for everyone, and tells the members; repeating it changes nothing. The
-- message keeps its id, its seq and its sender. One row: `deleted`, `already` or `not_found`.
CREATE OR REPLACE FUNCTION chat.delete_message(p_message_id bigint)
RETURNS TABLE (outcome text) LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room;
    v_message chat_message;
    v_now timestamptz;
BEGIN
    PERFORM chat.require_read_committed();
    SELECT r.* INTO v_room FROM chat_room r
    WHERE r.id = (SELECT m.room_id FROM chat_message m WHERE m.id = p_message_id)
    FOR NO KEY UPDATE;
    v_now := clock_timestamp();
    UPDATE chat_message m SET content = '', deleted_at = v_now
    WHERE m.id = p_message_id AND m.deleted_at IS NULL
    RETURNING * INTO v_message;
    IF NOT FOUND THEN
        outcome := CASE WHEN v_room.id IS NULL THEN 'not_found' ELSE 'already' END;
        RETURN NEXT;
        RETURN;
    END IF;

    v_room.version := v_room.version + 1;
    INSERT INTO chat_event (
        room_id, version, type, message_id, user_id, member_count, bumped_at, created_at)
    VALUES (v_room.id, v_room.version, 'message_deleted', v_message.id, v_message.user_id,
            v_room.member_count, v_room.bumped_at, v_now);
    UPDATE chat_room r SET version = v_room.version WHERE r.id = v_room.id;
    PERFORM chat.queue_event(
        v_room.id, v_room.version, chat.audience(v_room.id),
        chat.message_event(
            'message_deleted',
            chat.event_room(v_room.id, v_room.name, v_room.version, v_room.bumped_at,
                               v_room.member_count),
            v_message));
    outcome := 'deleted';
    RETURN NEXT;
END $$;
