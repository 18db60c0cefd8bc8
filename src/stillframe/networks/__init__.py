"""Owns networks: what hangs on which, who may speak to whom, and the plan by which the switch carries it out.

Rows say what shall be; the switch (`stillframe.switch`) makes it so for every machine that runs.
"""
