"""Owns running the service on a host: start and stop, first accounts, health, and the processes' own main functions."""
