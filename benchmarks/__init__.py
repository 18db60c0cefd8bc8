"""Measures Stillframe beside what somebody would use instead of it and beside what the machine allows: `make bench`.

run.py        which parts, how long, and what becomes of the results
report.py     results, ratios, goals; the printed table, JSON
chart.py      the README's picture; docs.py  the table in docs/performance.md
load.py       many small requests (wrk); streams.py  few large ones
processes.py  what a tree of processes costs
ours.py       systems of ours; catalogue.py  with many images in them
peers.py      Keystone and Glance; limits.py  a bare ASGI application, nginx
cases/        one file per part
"""
