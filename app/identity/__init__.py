"""How a bearer token becomes a principal: by keys of the settings, or by asking the host."""
