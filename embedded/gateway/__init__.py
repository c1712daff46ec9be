"""The development stand-in for Centrifugo: its client protocol, fed from the same outbox.

It is for laptops and tests. Production runs Centrifugo; `tests/conformance` holds the two equal.
"""
