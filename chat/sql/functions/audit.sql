-- Who called, and what is kept of it. `p_by` of a function is the caller as a JSON object: `kind`, which is
-- `user`, `service` or `staff`; `id`; `address`, from where, which may be null.

-- The user by whose rights a call is judged: null for the host's service and staff, who may do everything.
CREATE OR REPLACE FUNCTION chat.actor_of(p_by json) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF p_by ->> 'kind' IN ('user', 'service', 'staff') AND p_by ->> 'id' <> '' THEN
        RETURN CASE WHEN p_by ->> 'kind' = 'user' THEN p_by ->> 'id' END;
    END IF;
    RAISE EXCEPTION 'p_by names no caller' USING ERRCODE = 'invalid_parameter_value';
END $$;

-- An entry as staff and the service see it.
CREATE OR REPLACE FUNCTION chat.audit_body(p_entry chat_audit) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', p_entry.id,
        'created_at', chat.time_text(p_entry.created_at),
        'actor', p_entry.actor, 'actor_kind', p_entry.actor_kind, 'address', p_entry.address,
        'action', p_entry.action, 'room_id', p_entry.room_id, 'user', p_entry.user_id,
        'details', p_entry.details)
$$;

-- Keeps who changed a role, a ban, a room or another right, in the transaction of the change.
CREATE OR REPLACE FUNCTION chat.write_audit(
    p_by json, p_action text, p_room_id bigint, p_user_id text, p_details json DEFAULT NULL
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO chat_audit (
        created_at, actor, actor_kind, address, action, room_id, user_id, details)
    VALUES (clock_timestamp(), p_by ->> 'id', p_by ->> 'kind', coalesce(p_by ->> 'address', ''),
            p_action, p_room_id, p_user_id, p_details)
$$;
