"""The launcher: real processes in temporary folders."""
