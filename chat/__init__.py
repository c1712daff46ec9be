"""The domain: rooms, members, messages, and the events that are sent to clients."""
