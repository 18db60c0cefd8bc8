# ruff: noqa: D417 - ctx is injected, and a parameter whose name says it all needs no help
"""`stillframe image import`: a file in the object storage, or a local one that is put there first."""

import hashlib
import secrets
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from stillframe.cli import images, jobs
from stillframe.cli.commands.image import finished_image, print_image, show_submitted
from stillframe.cli.context import Context, Ctx
from stillframe.cli.errors import CliError, ExitCode
from stillframe.cli.output import say
from stillframe.cli.progress import Status

_TYPES = {"system": "ECS", "iso": "IsoImage"}


def import_image(
    source: str,
    *,
    name: str,
    min_disk: int,
    kind: Annotated[Literal["system", "data", "iso"], Parameter(name="--type")] = "system",
    os_version: str = "",
    description: str = "",
    tag: list[str] | None = None,
    checksum: str = "",
    quick: bool = False,
    configure: bool = False,
    bucket: str = "",
    wait: bool = False,
    ctx: Ctx,
) -> None:
    """Make an image of a file: qcow2, raw, vmdk, vhd, vhdx, vdi, qed, OVA or ISO, also compressed.

    Parameters
    ----------
    source
        bucket:path/to/file in the object storage, or a local file.
    name
        Name of the new image.
    min_disk
        The least a server's disk must have, in GiB; the disk in the file has to fit it.
    kind
        What the file holds; system when left out.
    os_version
        The operating system as the service names it. Needed for iso and --quick, otherwise found out.
    tag
        A tag as key=value; may be given several times.
    checksum
        What the file must have: an MD5, SHA-1, SHA-256 or SHA-512 in hex digits. Of a local file it is found out.
    quick
        Keep a raw disk as it is, without converting it.
    configure
        Prepare the system on the disk for the cloud.
    bucket
        Where to put a local file; one of the project's own when left out. With --wait it is removed again.
    wait
        Follow the job and print the finished image, instead of the id of the job.
    """
    body: dict[str, Any] = {"name": name, "min_disk": min_disk, "description": description}
    body |= {"image_tags": images.wire_tags(tag or [])} if tag else {}
    body |= {"os_version": os_version} if os_version else {}
    if kind != "data":
        body |= {"type": _TYPES[kind], "is_quick_import": quick, "is_config": configure}
    elif quick:
        body["type"] = "DataImage"
    local = Path(source) if ":" not in source or Path(source).is_file() else None
    url, found = _put(ctx, local, bucket) if local else (source, "")
    wanted = body | {"image_url": url} | ({"checksum": checksum or found} if checksum or found else {})
    about = {"target": url, "image": name}
    try:
        job_id = images.import_from_bucket(ctx.api, wanted, about, is_data=kind == "data", is_quick=quick)
        if not wait:
            show_submitted(ctx, job_id)
            return
        job = jobs.follow_job(ctx, job_id, f"image {name}", about)
    except CliError as error:
        if local and error.exit_code != ExitCode.UNREACHABLE:
            _remove(ctx, url)
        raise
    except KeyboardInterrupt:
        if local:
            say(f"the job still reads {url}: that object stays until somebody deletes it")
        raise
    if local:
        _remove(ctx, url)
    print_image(ctx, finished_image(ctx, str(job.entities.get("image_id") or "")))


def _put(ctx: Context, file: Path, bucket_name: str) -> tuple[str, str]:
    """The object's address, and the checksum of what was sent."""
    from stillframe.cli.objects import Bucket  # noqa: PLC0415

    if not file.is_file():
        hint = "an object is written as bucket:path/to/file"
        raise CliError(f"there is no file {file}", exit_code=ExitCode.NOT_FOUND, hint=hint)
    bucket = Bucket(ctx.api, bucket_name or f"imports-{ctx.api.project_id}", verbose=ctx.verbose)
    if not bucket.exists():
        bucket.create()
    total, digest = file.stat().st_size, hashlib.sha256()
    key = file.name.replace(" ", "-")
    if not bucket_name:
        key = f"{secrets.token_hex(8)}-{key}"  # nobody else's file of that name is in the way
    elif bucket.object_size(key) is not None:
        hint = f"import that object as {bucket.name}:{key}, or rename the file"
        raise CliError(f"{bucket.name}:{key} exists already", exit_code=ExitCode.CONFLICT, hint=hint)
    with ctx.display(f"upload of {file.name}") as display:

        def on_piece(piece: bytes, done: int) -> None:
            digest.update(piece)
            percent = 100.0 * done / total if total else 100.0
            display.update(Status(phase="uploading", percent=percent, bytes_done=done, bytes_total=total))

        bucket.upload(file, key, on_piece)
    say(f"{file} is at {bucket.name}:{key}")
    return f"{bucket.name}:{key}", f"sha256:{digest.hexdigest()}"


def _remove(ctx: Context, url: str) -> None:
    from stillframe.cli.objects import Bucket  # noqa: PLC0415

    bucket, _, key = url.partition(":")
    Bucket(ctx.api, bucket, verbose=ctx.verbose).delete_object(key)
