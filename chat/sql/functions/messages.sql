-- Sending and deleting.

-- Sends messages, each with an outcome row of its own. A retry with the same key is the same message.
--
-- The four arrays are parallel, one entry for each message. Rooms are taken in id order, so two
-- calls never wait for each other in a circle. In each room: lock the room row, look the key up in a
-- new statement (it sees what the last holder of the lock committed), then allocate. A refused
-- message allocates nothing, so seqs and versions have no gaps.
--
-- p_wait: true waits for a locked room (at most `lock_timeout`); false answers `busy` for it.
--
-- outcome     meaning                                               the other columns
-- sent        stored, logged and queued for every member            the message
-- duplicate   this sender used the key here, with this content      the first message
-- conflict    this sender used the key here, with other content     null
-- not_member  no such room, or the sender is not a member           null
-- busy        the room is locked by someone else (p_wait false)     null
-- invalid     no content, or a key that is not 1 to 64 long         null
CREATE OR REPLACE FUNCTION chat.send_messages(
    p_room_ids bigint[], p_user_ids text[], p_client_ids text[], p_contents text[],
    p_wait boolean DEFAULT true
) RETURNS TABLE (
    ordinal int, outcome text, message_id bigint, message_seq bigint, message json
) LANGUAGE plpgsql AS $$
DECLARE
    v_group record;
    v_room chat_room;
    v_message chat_message;
    v_channels text[];
    v_now timestamptz;
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
                RETURN QUERY SELECT item.n, 'busy', NULL::bigint, NULL::bigint, NULL::json
                FROM unnest(v_group.ordinals) AS item (n);
                CONTINUE;
            END IF;
        END IF;
        v_last_seq := v_room.last_seq;
        v_channels := NULL;
        v_now := clock_timestamp();

        FOREACH ordinal IN ARRAY v_group.ordinals LOOP
            v_message := NULL;
            IF coalesce(p_contents[ordinal], '') = ''
                OR coalesce(char_length(p_client_ids[ordinal]), 0) NOT BETWEEN 1 AND 64
            THEN
                outcome := 'invalid';
            ELSE
                -- The key is looked up before membership: a retry of a message that was accepted
                -- is answered with it even if its sender was removed in between.
                SELECT m.* INTO v_message FROM chat_message m
                WHERE m.room_id = v_group.room_id AND m.user_id = p_user_ids[ordinal]
                  AND m.client_id = p_client_ids[ordinal];
                IF NOT FOUND THEN
                    PERFORM FROM chat_member m
                    WHERE m.room_id = v_group.room_id AND m.user_id = p_user_ids[ordinal];
                    outcome := CASE WHEN FOUND THEN 'sent' ELSE 'not_member' END;
                -- A deleted text cannot be compared any more; then the key alone decides.
                ELSIF v_message.content = p_contents[ordinal] OR v_message.deleted_at IS NOT NULL
                THEN
                    outcome := 'duplicate';
                ELSE
                    outcome := 'conflict';
                    v_message := NULL;
                END IF;
            END IF;

            IF outcome = 'sent' THEN
                v_channels := coalesce(v_channels, chat.audience_of(v_room));
                v_room.bumped_at := v_now;
                v_room.last_seq := v_room.last_seq + 1;
                INSERT INTO chat_message (room_id, seq, user_id, client_id, content, created_at)
                VALUES (v_room.id, v_room.last_seq, p_user_ids[ordinal], p_client_ids[ordinal],
                        p_contents[ordinal], v_now)
                RETURNING * INTO v_message;
                v_room := chat.record_event('message_added', v_room, v_channels,
                                            p_user_id => v_message.user_id, p_message => v_message);
            END IF;

            message_id := v_message.id;
            message_seq := v_message.seq;
            message := CASE WHEN v_message.id IS NOT NULL THEN chat.message_body(v_message) END;
            RETURN NEXT;
        END LOOP;

        IF v_room.last_seq > v_last_seq THEN
            -- What `save_room` writes of it, without the cost of a call at each send.
            UPDATE chat_room r
            SET version = v_room.version, last_seq = v_room.last_seq, bumped_at = v_room.bumped_at
            WHERE r.id = v_room.id;
        END IF;
    END LOOP;
END $$;

-- Deletes a message's text for everyone and sends the members an event; repeating it changes
-- nothing. The message keeps its id, its seq and its sender. One row: `deleted`, `already` or
-- `not_found`.
CREATE OR REPLACE FUNCTION chat.delete_message(p_message_id bigint)
RETURNS TABLE (outcome text) LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room;
    v_message chat_message;
BEGIN
    PERFORM chat.require_read_committed();
    SELECT r.* INTO v_room FROM chat_room r
    WHERE r.id = (SELECT m.room_id FROM chat_message m WHERE m.id = p_message_id)
    FOR NO KEY UPDATE;
    UPDATE chat_message m SET content = '', deleted_at = clock_timestamp()
    WHERE m.id = p_message_id AND m.deleted_at IS NULL
    RETURNING * INTO v_message;
    IF FOUND THEN
        v_room := chat.record_event('message_deleted', v_room, chat.audience_of(v_room),
                                    p_user_id => v_message.user_id, p_message => v_message);
        PERFORM chat.save_room(v_room);
        outcome := 'deleted';
    ELSE
        outcome := CASE WHEN v_room.id IS NULL THEN 'not_found' ELSE 'already' END;
    END IF;
    RETURN NEXT;
END $$;
