# ruff: noqa: D417 - ctx is injected, and a parameter whose name says it all needs no help
"""`stillframe image`."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from stillframe.cli import images, jobs, servers
from stillframe.cli.context import Context, Ctx
from stillframe.cli.errors import CliError, ExitCode
from stillframe.cli.output import format_bytes, pick, print_fields, print_json, print_table, say

app = App(name="image", help="Images: freeze a server into one, import, list, show, export, save to a file, delete.")
app.command("stillframe.cli.commands.image_import:import_image", name="import", help="Make an image of a file.")

_TYPES = {"public": "gold", "private": "private", "shared": "shared"}
_FIELDS = (
    "id",
    "name",
    "status",
    "visibility",
    "disk_format",
    "min_disk",
    "min_ram",
    "checksum",
    "os_hash_value",
    "tags",
    "protected",
    "owner",
    "created_at",
    "updated_at",
    "__description",
    "__os_type",
    "__os_version",
    "__data_origin",
    "__originalimagename",
    "__lazyloading",
)


@app.command(name="create")
def create_image(
    *,
    server: str,
    name: str,
    description: str = "",
    tag: list[str] | None = None,
    wait: bool = False,
    ctx: Ctx,
) -> None:
    """Freeze a stopped server's system disk into a private image.

    Parameters
    ----------
    server
        Name or id of the server. It must be stopped.
    name
        Name of the new image.
    tag
        A tag as key=value; may be given several times.
    wait
        Follow the job and print the finished image, instead of the id of the job.
    """
    tags = images.parse_tags(tag or [])
    about = {"server": server, "image": name}
    server_id = servers.find_server(ctx.api, server)["id"]
    job_id = images.create_from_server(ctx.api, server_id, name, description, tags, about)
    if not wait:
        show_submitted(ctx, job_id)
        return
    job = jobs.follow_job(ctx, job_id, f"image {name}", about)
    print_image(ctx, finished_image(ctx, str(job.entities.get("image_id") or "")))


@app.command(name="list")
def list_images(
    *,
    kind: Annotated[Literal["public", "private", "shared"] | None, Parameter(name="--type")] = None,
    name: str = "",
    status: str = "",
    ctx: Ctx,
) -> None:
    """List the images this project can use.

    Parameters
    ----------
    kind
        Only images of this type.
    name
        Only images of exactly this name.
    status
        Only images in this status, for example active.
    """
    filters = {"__imagetype": _TYPES[kind] if kind else None, "name": name, "status": status}
    found = list(images.list_images(ctx.api, **filters))
    if ctx.is_json:
        print_json(found)
        return
    rows = (
        (
            image["id"],
            image["name"],
            image["status"],
            image.get("visibility"),
            image.get("disk_format"),
            _size(image),
            image.get("created_at"),
        )
        for image in found
    )
    print_table(("id", "name", "status", "visibility", "format", "size", "created"), rows)


@app.command(name="show")
def show_image(image: str, *, ctx: Ctx) -> None:
    """Show one image, by name or id."""
    print_image(ctx, images.find_image(ctx.api, image))


@app.command(name="delete")
def delete_images(*image: str, ctx: Ctx) -> None:
    """Delete images, by name or id."""
    if not image:
        raise CliError("which image? give at least one name or id", exit_code=ExitCode.USAGE)
    found = [images.find_image(ctx.api, wanted) for wanted in image]
    for one in found:
        images.delete_image(ctx.api, one["id"])
        if not ctx.is_json:
            say(f"image {one['name']} ({one['id']}) is deleted")
    if ctx.is_json:
        print_json([{"id": one["id"], "name": one["name"]} for one in found])


@app.command(name="export")
def export_image(
    image: str,
    target: str,
    *,
    file_format: Annotated[Literal["qcow2", "vhd", "vmdk", "raw", "zvhd"], Parameter(name="--format")] = "qcow2",
    quick: bool = False,
    wait: bool = False,
    ctx: Ctx,
) -> None:
    """Write an image into an object of the object storage.

    Parameters
    ----------
    image
        Name or id of the image.
    target
        Where to: bucket:path/name.qcow2. The bucket must exist, the object must not.
    file_format
        Format of the object; qcow2 when left out.
    quick
        Deliver the file as it is stored, without converting it; for large images, too.
    wait
        Follow the job to its end.
    """
    image_id = images.find_image(ctx.api, image)["id"]
    about = {"image": image, "target": target}
    job_id = images.export_to_bucket(ctx.api, image_id, target, "" if quick else file_format, about)
    if not wait:
        show_submitted(ctx, job_id)
        return
    job = jobs.follow_job(ctx, job_id, f"export to {target}", about)
    if ctx.is_json:
        print_json({**job.wire, "target": target})
    else:
        say(f"image {image} is exported to {target}")


@app.command(name="save")
def save_image(image: str, file: Path, *, force: bool = False, ctx: Ctx) -> None:
    """Download an image into a file; the checksum is verified before the file appears.

    Parameters
    ----------
    image
        Name or id of the image.
    file
        The file to write. Broken off or wrong bytes leave nothing behind.
    force
        Replace the file if it exists.
    """
    from stillframe.cli.download import save_to_file  # noqa: PLC0415

    found = images.find_image(ctx.api, image)
    with ctx.display(f"image {found['name']}") as display:
        saved = save_to_file(ctx.api, found["id"], file, replace=force, display=display)
    if ctx.is_json:
        print_json({"image_id": found["id"], "file": str(file), **saved.as_dict()})
    else:
        say(f"{file}: {format_bytes(saved.size_bytes)}, {saved.describe_check()}")


def show_submitted(ctx: Context, job_id: str) -> None:
    if ctx.is_json:
        print_json({"job_id": job_id})
    else:
        print_fields({"job_id": job_id})
    say(f"the job runs on the server; watch it with: stillframe job watch {job_id}")


def finished_image(ctx: Context, image_id: str) -> dict[str, Any]:
    image = images.get_image(ctx.api, image_id) if image_id else None
    if image is None:
        raise CliError("the job succeeded, but its image is not there (any more)", exit_code=ExitCode.NOT_FOUND)
    return image


def print_image(ctx: Context, image: dict[str, Any]) -> None:
    if ctx.is_json:
        print_json(image)
        return
    fields = pick(image, _FIELDS)
    fields["size"] = _size(image)
    fields["virtual_size"] = format_bytes(image["virtual_size"]) if image.get("virtual_size") else None
    fields["min_disk"] = f"{image.get('min_disk') or 0} GiB"
    fields["min_ram"] = f"{image.get('min_ram') or 0} MiB"
    print_fields(fields)


def _size(image: dict[str, Any]) -> str:
    size = image.get("size")
    return format_bytes(size) if isinstance(size, int) else ""
