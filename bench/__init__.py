"""Sweeps, problems, backends, measuring, and the command line."""
