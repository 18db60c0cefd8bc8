"""Owns servers, the machines behind them, and key pairs.

A server is what callers see; its machine is a QEMU process on the host, which may be there or not. Whatever takes time
is a job: the request notes a task in the server's row, the job carries it out and takes the task away again.
"""
