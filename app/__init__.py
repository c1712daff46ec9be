"""The service around the domain: settings, ASGI entry point, identity, permissions."""
