-- name: listener_channel
-- error: The user's events go to a channel that is not the user's.
SELECT l.user_id AS user FROM {chunk} l WHERE l.channel <> chat.personal_channel(l.user_id);
