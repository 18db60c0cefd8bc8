"""Jobs as IMS shows them.

Source: Open Telekom Cloud, IMS API reference, "Querying an Asynchronous Job".
"""

from typing import Any

from msgspec.structs import replace

from stillframe.api.ims.errors import job_error_code, job_fail_reason
from stillframe.images import capture, copying, disk_capture, member_batches
from stillframe.images.service import EXPORT_KIND, REGISTER_KIND
from stillframe.jobs.model import Job, JobState
from stillframe.kit.clock import iso_millis_z
from stillframe.servers.captures import WHOLE_KIND
from stillframe.transfers import imports

JOB_TYPES = {
    imports.SYSTEM_KIND: "imsImportImageJob",
    imports.DATA_KIND: "imsImportDataImageJob",
    imports.OVA_KIND: "imsImportOvaImageJob",
    REGISTER_KIND: "imsNativeImportImageJob",
    capture.KIND: "imsCreateImageByInstance",
    disk_capture.DATA_KIND: "imsVolumesToSysDataImagesJob",
    disk_capture.DATA_PART_KIND: "imsCopyVolumeToImageJob",
    disk_capture.VOLUME_KIND: "imsVolumeCreateImageJob",
    disk_capture.UPLOAD_KIND: "imsVolumeCreateImageJob",
    WHOLE_KIND: "imsCreateWholeImageByInstanceJob",
    copying.KIND: "imsCopyImageInRegionJob",
    EXPORT_KIND: "imsNativeExportImageJob",
    member_batches.ADD_KIND: "imsAddImageMembersJob",
    member_batches.ANSWER_KIND: "imsUpdateImageMembersJob",
    member_batches.REMOVE_KIND: "imsDelImageMembersJob",
}

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
        "job_type": JOB_TYPES.get(job.kind, job.kind),
        "begin_time": iso_millis_z(job.created_at),
        "end_time": iso_millis_z(job.finished_at) if job.finished_at else None,
        "error_code": job_error_code(job.error_code) if job.error_code and job.finished_at else None,
        "fail_reason": _fail_reason(job),
        "entities": _entities(job),
    }


def _fail_reason(job: Job) -> str | None:
    if job.finished_at is None or job.error_code is None:
        return None
    reason = job_fail_reason(job.error_code, job.error_message or "")
    # No code says so, but people should know.
    return f"{reason} {job.error_message}" if job.state is JobState.CANCELLED else reason


def _entities(job: Job) -> dict[str, Any]:
    if "results" in job.result:
        return {"results": [_outcome(outcome) for outcome in job.result["results"]]}
    if "sub_jobs" in job.result:
        return _with_sub_jobs(job)
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


def _with_sub_jobs(job: Job) -> dict[str, Any]:
    """Some clients read the image off the job, others off its first sub job."""
    parts = [replace(job, id=part["id"], kind=part["kind"], result=part["result"]) for part in job.result["sub_jobs"]]
    own = {name: value for name, value in job.result.items() if name != "sub_jobs"}
    return own | {
        "sub_jobs_result": [job_to_wire(part) for part in parts],
        "sub_jobs_list": [part.id for part in parts],
    }


def _outcome(outcome: dict[str, Any]) -> dict[str, Any]:
    if "error_code" not in outcome:
        return outcome
    code, reason = outcome["error_code"], outcome["error"]
    return outcome | {"error_code": job_error_code(code), "error": job_fail_reason(code, reason)}
