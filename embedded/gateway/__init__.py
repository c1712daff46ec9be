"""Stands in for Centrifugo in development: the same client protocol and the same outbox.

It is for laptops and tests. Production runs Centrifugo. `tests/conformance` proves both equal.
"""
