"""Load generators, and what the service is compared with."""
