"""Makes the worker of a system under test kill itself where a plan says so.

Python imports this module by itself because the test puts its directory on PYTHONPATH; it changes what only the worker
runs, in the supervisor that the worker is a fork of. The plan is a file,
{"step": "image_capture.seal", "when": "before", "delay_s": 0.2}, taken away right before the kill, so that the next
worker gets through.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

PLAN = os.environ.get("STILLFRAME_TEST_KILL_PLAN")


def _install(plan_path: Path) -> None:
    from stillframe.jobs import engine  # noqa: PLC0415 - only there

    attempt = engine.JobEngine._attempt

    def die() -> None:
        plan_path.unlink()
        os.kill(os.getpid(), signal.SIGKILL)

    def planned(when: str, name: str) -> dict[str, Any] | None:
        try:
            plan = json.loads(plan_path.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return plan if (plan["when"], plan["step"]) == (when, name) else None

    async def attempt_or_die(self: Any, job_id: str, step: Any) -> Any:
        name = f"{self._running[job_id].kind}.{step.name}"
        if planned("before", name):
            die()
        if plan := planned("during", name):
            asyncio.get_running_loop().call_later(plan["delay_s"], die)
        outcome = await attempt(self, job_id, step)
        if planned("after", name) or planned("during", name):  # it may have been quicker than the delay
            die()
        return outcome

    engine.JobEngine._attempt = attempt_or_die  # type: ignore[method-assign]


if PLAN and sys.orig_argv[-2:] == ["-m", "stillframe.ops"]:
    _install(Path(PLAN))
