"""Jobs as IMS shows them.

Source: Open Telekom Cloud, IMS API reference, "Querying an Asynchronous Job".
"""

from typing import Any

from stillframe.api.ims.errors import job_error_code
from stillframe.images import capture
from stillframe.jobs.model import Job, JobState
from stillframe.kit.clock import iso_millis_z
from stillframe.transfers.service import EXPORT_KIND

JOB_TYPES = {capture.KIND: "imsCreateImageByInstance", EXPORT_KIND: "imsNativeExportImageJob"}

_STATUS = {
    JobState.QUEUED: "INIT",
    JobState.RUNNING: "RUNNING",
    JobState.CANCELLING: "RUNNING",
    JobState.SUCCEEDED: "SUCCESS",
    JobState.FAILED: "FAIL",
    JobState.CANCELLED: "FAIL",
}


def job_to_wire(job: Job) -> dict[str, Any]:
    """`entities` is never null: what was made on success, how far it is while running, empty after a failure."""
    return {
        "status": _STATUS[job.state],
        "job_id": job.id,
        "job_type": JOB_TYPES[job.kind],
        "begin_time": iso_millis_z(job.created_at),
        "end_time": iso_millis_z(job.finished_at) if job.finished_at else None,
        "error_code": job_error_code(job.error_code) if job.error_code and job.finished_at else None,
        "fail_reason": job.error_message if job.finished_at else None,
        "entities": _entities(job),
    }


def _entities(job: Job) -> dict[str, Any]:
    if job.state is JobState.SUCCEEDED:
        return job.result
    if job.state in (JobState.FAILED, JobState.CANCELLED):
        return {}
    return {
        "process_percent": round(job.percent, 1),
        "current_task": job.phase,
        "bytes_done": job.bytes_done,
        "bytes_total": job.bytes_total,
    }
