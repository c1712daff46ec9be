"""The reference client: the rules of docs/client.md as code, for implementers to copy.

`client.reducer` decides what an event means and does no I/O; `client.device` adds the official
SDK and the API. Nothing here imports the service, and the service imports nothing of this.
"""
