"""Image jobs: reading them, and waiting for one while telling how it goes."""

from __future__ import annotations  # Api, for types only: loading it loads an HTTP library

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillframe.cli.errors import CliError, ExitCode, error_from_job
from stillframe.cli.lookup import quoted
from stillframe.cli.output import say
from stillframe.cli.polling import poll
from stillframe.cli.progress import Display, Status

if TYPE_CHECKING:
    from stillframe.cli.api import Api
    from stillframe.cli.context import Context


@dataclass(frozen=True)
class Job:
    """A job as the image service shows it; `wire` is its whole answer."""

    wire: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.wire["job_id"])

    @property
    def status(self) -> str:
        return str(self.wire["status"])

    @property
    def is_finished(self) -> bool:
        return self.status in ("SUCCESS", "FAIL")

    @property
    def entities(self) -> Mapping[str, Any]:
        return self.wire.get("entities") or {}

    @property
    def progress(self) -> Status:
        """Services differ in what they tell: percent and phase are in the API, bytes are Stillframe's own addition."""
        phase = self.entities.get("current_task")
        percent = self.entities.get("process_percent")
        return Status(
            phase=str(phase) if phase and not self.is_finished else self.status,
            percent=100.0 if self.status == "SUCCESS" else None if percent is None else float(percent),
            bytes_done=int(self.entities.get("bytes_done") or 0),
            bytes_total=int(self.entities.get("bytes_total") or 0),
        )


def get_job(api: Api, job_id: str) -> Job:
    wire = api.get("image", f"/v1/{{project_id}}/jobs/{quoted(job_id)}", about={"job": job_id})
    return Job({"job_id": job_id, **wire})


def wait_for_job(api: Api, job_id: str, display: Display, about: Mapping[str, str] | None = None) -> Job:
    """The job after its SUCCESS. Raises: CliError with the job's own code and reason when it failed."""

    def ask() -> Job:
        job = get_job(api, job_id)
        display.update(job.progress)
        return job

    job = poll(ask, lambda job: job.is_finished)
    if job.status == "FAIL":
        raise error_from_job(job.wire.get("error_code"), job.wire.get("fail_reason"), about)
    return job


def follow_job(ctx: Context, job_id: str, label: str, about: Mapping[str, str] | None = None) -> Job:
    """Waits with a progress display; says what becomes of the job when the waiting is broken off."""
    try:
        with ctx.display(label) as display:
            return wait_for_job(ctx.api, job_id, display, about)
    except KeyboardInterrupt:
        say(f"interrupted: job {job_id} continues on the server; watch it with: stillframe job watch {job_id}")
        raise
    except CliError as error:
        if error.exit_code == ExitCode.UNREACHABLE:
            error.hint = f"job {job_id} may still be running; later: stillframe job watch {job_id}"
        raise
