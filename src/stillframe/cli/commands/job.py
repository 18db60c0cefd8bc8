"""`stillframe job`."""

from cyclopts import App

from stillframe.cli import jobs
from stillframe.cli.context import Context, Ctx
from stillframe.cli.output import print_fields, print_json

app = App(name="job", help="Jobs: long work of the image service, such as creating or exporting an image.")


@app.command(name="show")
def show_job(job_id: str, *, ctx: Ctx) -> None:
    """Show how far a job is."""
    _show(ctx, jobs.get_job(ctx.api, job_id))


@app.command(name="watch")
def watch_job(job_id: str, *, ctx: Ctx) -> None:
    """Follow a job to its end. The exit code tells whether it succeeded."""
    _show(ctx, jobs.follow_job(ctx, job_id, f"job {job_id[:8]}"))


def _show(ctx: Context, job: jobs.Job) -> None:
    if ctx.is_json:
        print_json(dict(job.wire))
        return
    names = ("job_id", "job_type", "status", "begin_time", "end_time", "error_code", "fail_reason")
    known = {"process_percent": "percent", "current_task": "phase"}
    print_fields(
        {name: job.wire.get(name) for name in names}
        | {known.get(name, name): value for name, value in job.entities.items()}
    )
