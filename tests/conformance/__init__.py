"""One suite for the development gateway and the real Centrifugo: what clients rely on."""
