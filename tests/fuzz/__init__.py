"""Random requests, made from the OpenAPI description, against a real server."""
