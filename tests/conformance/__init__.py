"""One suite for the development gateway and the real Centrifugo: what a client may rely on."""
