"""The HTTP API: one module a resource; each handler parses, makes one call, and answers."""
