"""Makes the worker of a system under test kill itself where a plan says so.

Python imports this module by itself because the test puts its directory on PYTHONPATH; it changes what only the worker
runs, in the supervisor that the worker is a fork of. The plan is a file with a list of kills, each
{"step": "image_capture.seal", "when": "before", "delay_s": 0.2}, which happen in that order. A kill is struck off right
before it happens, so that the next worker gets as far as the kill after it; with the last one the file goes.
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
        later = json.loads(plan_path.read_text())[1:]
        if later:
            partial = plan_path.with_suffix(".later")
            partial.write_text(json.dumps(later))
            partial.replace(plan_path)
        else:
            plan_path.unlink()
        os.kill(os.getpid(), signal.SIGKILL)

    def planned(when: str, name: str) -> dict[str, Any] | None:
        try:
            next_kill = json.loads(plan_path.read_text())[0]
        except (FileNotFoundError, ValueError):
            return None
        return next_kill if (next_kill["when"], next_kill["step"]) == (when, name) else None

    async def attempt_or_die(self: Any, job_id: str, step: Any) -> Any:
        name = f"{self._running[job_id].kind}.{step.name}"
        if planned("before", name):
            die()
        if kill := planned("during", name):
            asyncio.get_running_loop().call_later(kill["delay_s"], die)
        outcome = await attempt(self, job_id, step)
        if planned("after", name) or planned("during", name):  # it may have been quicker than the delay
            die()
        return outcome

    engine.JobEngine._attempt = attempt_or_die  # type: ignore[method-assign]


if PLAN and sys.orig_argv[-2:] == ["-m", "stillframe.ops"]:
    _install(Path(PLAN))
