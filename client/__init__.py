"""The reference client: the rules of docs/client.md as code, to copy from.

`client.reducer` decides what an event means and does no I/O. `client.device` adds the official
SDK and the API. Neither the service nor this package imports the other.
"""
