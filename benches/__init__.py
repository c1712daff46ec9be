"""Benchmarks: what each path costs, beside the limit that its parts set, in one run."""
