-- What is changed of a room: its name, its data, what its members may read, who may find it.

-- The state of a room that `room_updated` shows, besides its name, version and counters.
CREATE OR REPLACE FUNCTION chat.room_state(p_room chat_room) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'kind', p_room.kind, 'external_id', p_room.external_id,
        'data', coalesce(p_room.data, '{}'), 'archived_at', chat.time_text(p_room.archived_at),
        'history', p_room.history, 'slow_mode_seconds', p_room.slow_mode_seconds)
$$;

-- The first field of a change that is unknown, or whose value it cannot have; null if there is none.
CREATE OR REPLACE FUNCTION chat.find_invalid_change(p_changes json) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT c.key
    FROM json_each(p_changes) WITH ORDINALITY AS c (key, value, n), json_typeof(c.value) AS type
    WHERE CASE c.key
        WHEN 'name' THEN type = 'string' AND chat.is_room_name(c.value #>> '{}')
        WHEN 'data' THEN type = 'null'
            OR type = 'object' AND chat.is_room_data(c.value)
        WHEN 'history' THEN c.value #>> '{}' IN ('all', 'since_join')
        WHEN 'slow_mode_seconds' THEN type = 'number' AND c.value::text ~ '^[0-9]{1,5}$'
            AND c.value::text::int <= 86400
        WHEN 'archived' THEN type = 'boolean'
        WHEN 'external_id' THEN type = 'null'
            OR type = 'string' AND chat.is_external_id(c.value #>> '{}')
        WHEN 'kind' THEN c.value #>> '{}' IN ('public', 'private')
        ELSE false END IS NOT TRUE
    ORDER BY c.n LIMIT 1);
END $$;

-- The room as it would be after a change whose fields are valid; a field that is not given stays.
CREATE OR REPLACE FUNCTION chat.apply_change(p_room chat_room, p_changes json) RETURNS chat_room
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_room chat_room := p_room;
    v_field record;
BEGIN
    FOR v_field IN
        SELECT c.key, c.value, c.value #>> '{}' AS text FROM json_each(p_changes) AS c (key, value)
    LOOP
        CASE v_field.key
            WHEN 'name' THEN v_room.name := v_field.text;
            WHEN 'data' THEN
                v_room.data := CASE WHEN v_field.text <> '{}' THEN v_field.value END;
            WHEN 'history' THEN v_room.history := v_field.text;
            WHEN 'slow_mode_seconds' THEN v_room.slow_mode_seconds := v_field.text::int;
            WHEN 'external_id' THEN v_room.external_id := v_field.text;
            WHEN 'kind' THEN v_room.kind := v_field.text;
            WHEN 'archived' THEN
                v_room.archived_at := CASE WHEN v_field.text::boolean
                    THEN coalesce(p_room.archived_at, clock_timestamp()) END;
        END CASE;
    END LOOP;
    RETURN v_room;
END $$;

-- Keeps who changed a room, with what was changed; archiving and restoring are entries of their own.
CREATE OR REPLACE FUNCTION chat.audit_change(p_by json, p_before chat_room, p_after chat_room)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_from json;
    v_to json;
BEGIN
    SELECT json_object_agg(c.key, c.before), json_object_agg(c.key, c.after) INTO v_from, v_to
    FROM (
        SELECT 'name' AS key, to_json(p_before.name) AS before, to_json(p_after.name) AS after
        UNION ALL
        SELECT b.key, b.value, a.value FROM json_each(chat.room_state(p_before)) AS b (key, value)
        JOIN json_each(chat.room_state(p_after)) AS a (key, value) ON a.key = b.key
        WHERE b.key <> 'archived_at'
    ) AS c WHERE c.before::text <> c.after::text;
    IF v_from IS NOT NULL THEN
        PERFORM chat.write_audit(p_by, 'room_changed', p_after.id, NULL,
                                 json_build_object('from', v_from, 'to', v_to));
    END IF;
    IF (p_before.archived_at IS NULL) <> (p_after.archived_at IS NULL) THEN
        PERFORM chat.write_audit(
            p_by, CASE WHEN p_after.archived_at IS NULL THEN 'room_restored'
                       ELSE 'room_archived' END, p_after.id, NULL);
    END IF;
END $$;

-- Changes a room and sends the members one event, whatever was changed; repeating it changes nothing.
-- One row:
--
-- outcome            meaning                                              the other columns
-- changed            it is so now                                         the room
-- unchanged          it was so before                                     the room
-- room_not_found     no such room, or the caller is no member             null
-- right_required     the caller's role lacks a right                      subject: the right
-- service_required   only the host's service changes this                 subject: the field
-- conflict           a direct room has no name and stays a direct room;   subject: the field
--                    another room has this external id
-- archived           an archived room takes no change but a restoration   null
-- invalid            no field, or no value of it                          subject: the field
--
-- p_changes: a JSON object of the fields to change: `name`; `data`, an object of at most 4,096 bytes that
-- replaces the one before, or null; `history`; `slow_mode_seconds`, 0 to 86,400; `archived`; and, by the
-- service only, `external_id`, which may be null, and `kind`, `public` or `private`. p_change_allowed,
-- p_archive_allowed: where the rights to change and to archive a room are given, as `kind:role`. p_rights: the
-- rights that the room shows, as `compose_room_v2` takes them.
--
-- An archived room is changed by a call that restores it, or by none.
CREATE OR REPLACE FUNCTION chat.change_room(
    p_by json, p_room_id bigint, p_changes json, p_change_allowed text[],
    p_archive_allowed text[], p_rights json DEFAULT NULL
) RETURNS TABLE (outcome text, subject text, room json) LANGUAGE plpgsql AS $$
DECLARE
    v_actor text := chat.actor_of(p_by);
    v_fields text[];
    v_room chat_room;
    v_new chat_room;
BEGIN
    PERFORM chat.require_read_committed();
    IF json_typeof(p_changes) IS DISTINCT FROM 'object' THEN
        PERFORM chat.refuse_argument('change_room: p_changes is not a JSON object');
    END IF;
    subject := chat.find_invalid_change(p_changes);
    IF subject IS NOT NULL THEN
        outcome := 'invalid';
        RETURN NEXT;
        RETURN;
    END IF;
    v_fields := ARRAY(SELECT json_object_keys(p_changes));

    SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    IF v_fields <> ARRAY['archived'] THEN
        outcome := chat.find_refusal(v_room, v_actor, p_change_allowed);
        subject := CASE WHEN outcome = 'right_required' THEN 'change_room' END;
    END IF;
    IF outcome IS NULL AND 'archived' = ANY (v_fields) THEN
        outcome := chat.find_refusal(v_room, v_actor, p_archive_allowed);
        subject := CASE WHEN outcome = 'right_required' THEN 'archive_room' END;
    END IF;
    IF outcome IS NULL THEN
        v_new := chat.apply_change(v_room, p_changes);
        IF v_actor IS NOT NULL AND v_fields && ARRAY['external_id', 'kind'] THEN
            outcome := 'service_required';
            subject := CASE WHEN 'kind' = ANY (v_fields) THEN 'kind' ELSE 'external_id' END;
        ELSIF v_room.kind = 'direct' AND v_fields && ARRAY['name', 'kind'] THEN
            outcome := 'conflict';
            subject := CASE WHEN 'kind' = ANY (v_fields) THEN 'kind' ELSE 'name' END;
        ELSIF v_new.name = v_room.name
            AND chat.room_state(v_new)::text = chat.room_state(v_room)::text
        THEN
            outcome := 'unchanged';
        ELSIF v_new.archived_at = v_room.archived_at THEN
            outcome := 'archived';
        END IF;
    END IF;
    IF outcome IS NULL THEN
        BEGIN
            UPDATE chat_room r
            SET kind = v_new.kind, external_id = v_new.external_id, data = v_new.data,
                history = v_new.history, archived_at = v_new.archived_at,
                slow_mode_seconds = v_new.slow_mode_seconds
            WHERE r.id = p_room_id;
            outcome := 'changed';
        EXCEPTION WHEN unique_violation THEN
            outcome := 'conflict';
            subject := 'external_id';
        END;
    END IF;
    IF outcome = 'changed' THEN
        v_new := chat.record_change(
            'room_updated', v_new, chat.audience_of(v_new), NULL, chat.room_state(v_new));
        PERFORM chat.audit_change(p_by, v_room, v_new);
    END IF;
    IF outcome IN ('changed', 'unchanged') THEN
        SELECT chat.compose_room_v2(v_new, m, o, NULL, p_rights)::json INTO room
        FROM (SELECT) AS one
        LEFT JOIN chat_member o ON o.room_id = p_room_id AND o.user_id = p_by ->> 'id'
        LEFT JOIN chat_message m ON m.room_id = p_room_id AND m.seq = v_new.last_seq
            AND (v_actor IS NULL OR v_new.history = 'all' OR m.seq > o.joined_seq);
    END IF;
    RETURN NEXT;
END $$;
