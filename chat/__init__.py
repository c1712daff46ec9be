"""The domain: rooms, members, messages, and the events that tell clients about them."""
