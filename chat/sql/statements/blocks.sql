-- name: block_user
-- Keeps another user away from one; see functions/blocks.sql.
SELECT outcome, chat.time_text(created_at) AS created_at
FROM chat.block_user(%(user_id)s, %(blocked_id)s, %(limit)s);

-- name: unblock_user
-- Ends a block; see functions/blocks.sql.
SELECT outcome, NULL::text AS created_at FROM chat.unblock_user(%(user_id)s, %(blocked_id)s);

-- name: list_blocks
-- A page of the users whom a user blocks, by id, after one of them.
SELECT b.blocked_id AS user, chat.time_text(b.created_at) AS created_at FROM chat_block b
WHERE b.user_id = %(user_id)s AND b.blocked_id > coalesce(%(position)s::text, '')
ORDER BY b.blocked_id LIMIT %(limit)s;

-- name: list_blocks_backwards
-- The page of blocks before one of them, the nearest first.
SELECT b.blocked_id AS user, chat.time_text(b.created_at) AS created_at FROM chat_block b
WHERE b.user_id = %(user_id)s AND b.blocked_id < %(position)s::text
ORDER BY b.blocked_id DESC LIMIT %(limit)s;
