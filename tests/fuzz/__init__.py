"""Random requests, made from the description, against a real server: what it promises holds."""
