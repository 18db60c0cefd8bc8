"""The story: a server writes a marker, is frozen into an image, and another server booted from that image has it."""

import base64
import re
import secrets
from collections.abc import Callable
from typing import Any

from stillframe.cli import images, jobs, servers
from stillframe.cli.api import Api
from stillframe.cli.context import Context
from stillframe.cli.demo.narrator import Narrator
from stillframe.cli.errors import CliError, ExitCode
from stillframe.cli.objects import Bucket
from stillframe.cli.output import cell_text, format_bytes
from stillframe.cli.polling import poll

BOOT_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 180.0
GONE_TIMEOUT_S = 120.0
_MARKER_LINE = re.compile(r"stillframe: marker (\S+)")
_QCOW2_MAGIC = b"QFI\xfb"


class Story:
    """Everything it makes carries a name of this run only, so what is left of it can be found by name at any point."""

    def __init__(self, ctx: Context, api: Api, narrator: Narrator, *, image: str, flavor: str) -> None:
        run = secrets.token_hex(3)
        self._ctx = ctx
        self._api = api
        self._narrator = narrator
        self._image_wanted = image
        self._flavor_wanted = flavor
        self._halves = (secrets.token_hex(4), secrets.token_hex(4))
        self.marker = "-".join(self._halves)
        self.server_a = f"demo-{run}-a"
        self.server_b = f"demo-{run}-b"
        self.image = f"demo-{run}"
        self.bucket = Bucket(api, f"stillframe-demo-{run}", verbose=ctx.verbose)
        self.key = f"{self.image}.qcow2"
        self._volumes_before: set[str] | None = None

    def play(self) -> None:
        """Raises: CliError at the first thing that is not as it should be."""
        base, flavor = self._choose()
        first = self._boot(self.server_a, base["id"], flavor, script=self._script())
        self._stop(first)
        image_id = self._freeze(first)
        self._query(image_id, first)
        self._export(image_id)
        second = self._boot(self.server_b, image_id, flavor, script="")
        with self._narrator.step(f"Read the marker back from {self.server_b}"):
            self._narrator.tell(f"its console says: stillframe: marker {self._read_marker(second)}")
            self._narrator.tell("that text was written in the first server; only the image carried it over")

    def _choose(self) -> tuple[dict[str, Any], dict[str, Any]]:
        with self._narrator.step("Choose a public image and a flavor"):
            self._volumes_before = self._volume_ids()
            self._narrator.command("image list --type public")
            base = choose_image(self._api, self._image_wanted)
            flavor = choose_flavor(self._api, self._flavor_wanted, base)
            self._narrator.tell(f"image {base['name']} ({base['id']}), flavor {flavor['name']}")
        return base, flavor

    def _script(self) -> str:
        """The marker is put together only inside the guest: nothing outside it holds the text that is looked for."""
        first, second = self._halves
        lines = (
            "#!/bin/sh",
            f"first={first}; second={second}",
            'echo "$first-$second" >/root/marker',
            "sync",
            'echo "stillframe: marker $(cat /root/marker)"',
        )
        return "\n".join(lines) + "\n"

    def _boot(self, name: str, image_id: str, flavor: dict[str, Any], script: str) -> str:
        with self._narrator.step(f"Boot server {name}" + (", which writes a marker" if script else " from the image")):
            option = " --user-data marker.sh" if script else ""
            self._narrator.command(
                f"server create --name {name} --image {image_id} --flavor {flavor['name']}{option} --wait"
            )
            if script:
                self._narrator.tell(script)
            request = {"name": name, "imageRef": image_id, "flavorRef": flavor["id"]}
            if script:
                request["user_data"] = base64.b64encode(script.encode()).decode()
            server_id = str(servers.create_server(self._api, request)["id"])
            with self._ctx.display(f"   server {name}") as display:
                servers.wait_for_status(self._api, server_id, "ACTIVE", display, BOOT_TIMEOUT_S)
            self._narrator.command(f"server console {name}")
            if script:
                self._narrator.tell(f"its console says: stillframe: marker {self._read_marker(server_id)}")
        return server_id

    def _read_marker(self, server_id: str) -> str:
        """The marker, once the console shows it. Raises: CliError when another one or none appears."""
        seen = ""

        def ask() -> list[str]:
            nonlocal seen
            seen = servers.get_console(self._api, server_id)
            return _MARKER_LINE.findall(seen)

        try:
            found = poll(ask, bool, timeout_s=BOOT_TIMEOUT_S)
        except TimeoutError:
            tail = "\n".join(seen.splitlines()[-15:])
            raise CliError(f"no marker on the console after {BOOT_TIMEOUT_S:.0f} s; its end:\n{tail}") from None
        if set(found) != {self.marker}:
            raise CliError(f"the console shows the marker {found[0]}, written was {self.marker}")
        return found[0]

    def _stop(self, server_id: str) -> None:
        with self._narrator.step(f"Stop server {self.server_a}"):
            self._narrator.command(f"server stop {self.server_a} --wait")
            servers.act_on_server(self._api, server_id, {"os-stop": None})
            with self._ctx.display(f"   server {self.server_a}") as display:
                servers.wait_for_status(self._api, server_id, "SHUTOFF", display, STOP_TIMEOUT_S)

    def _freeze(self, server_id: str) -> str:
        with self._narrator.step(f"Freeze it into image {self.image}"):
            self._narrator.command(
                f"image create --server {self.server_a} --name {self.image} --tag purpose=demo --wait"
            )
            job_id = images.create_from_server(
                self._api, server_id, self.image, "Made by stillframe demo", {"purpose": "demo"}, {}
            )
            job = self._wait_for_job(job_id)
            self._narrator.tell(f"job {job_id} is {job.status}, its image is {job.entities['image_id']}")
        return str(job.entities["image_id"])

    def _query(self, image_id: str, server_id: str) -> None:
        with self._narrator.step("Query the image"):
            self._narrator.command(f"image show {self.image}")
            image = images.get_image(self._api, image_id) or {}
            facts = (image.get("name"), image.get("status"), image.get("__imagetype"))
            if facts != (self.image, "active", "private"):
                raise CliError(f"the image is not an active private image called {self.image}: {facts}")
            if image.get("__data_origin") not in (None, f"instance,{server_id}"):
                raise CliError(f"the image says it comes from {image['__data_origin']}, not from {server_id}")
            shown = ("status", "visibility", "disk_format", "min_disk", "tags", "__data_origin")
            self._narrator.tell(", ".join(f"{name.strip('_')} {cell_text(image.get(name))}" for name in shown))

    def _export(self, image_id: str) -> None:
        target = f"{self.bucket.name}:{self.key}"
        with self._narrator.step("Export it to the object storage"):
            self._narrator.tell(f"bucket {self.bucket.name} at {self.bucket.endpoint}")
            self.bucket.create()
            self._narrator.command(f"image export {self.image} {target} --format qcow2 --wait")
            job_id = images.export_to_bucket(self._api, image_id, target, "qcow2", {"target": target})
            self._wait_for_job(job_id)
            size = self.bucket.object_size(self.key)
            if not size or self.bucket.read_object(self.key, 4) != _QCOW2_MAGIC:
                raise CliError(f"object {target} is not a qcow2 file")
            self._narrator.tell(f"object {target}: {format_bytes(size)} of qcow2")

    def _wait_for_job(self, job_id: str) -> jobs.Job:
        with self._ctx.display(f"   job {job_id[:8]}") as display:
            return jobs.wait_for_job(self._api, job_id, display)

    def clear(self) -> None:
        """Deletes whatever there is of this run, as often as it is called.

        Raises: CliError naming all that could not be deleted.
        """
        failed: list[str] = []
        for what, remove in (
            ("servers", self._delete_servers),
            ("image", self._delete_images),
            ("bucket", self._delete_bucket),
        ):
            try:
                remove()
            except CliError as error:
                failed.append(f"{what}: {error}")
        if failed:
            raise CliError(f"not everything could be deleted: {'; '.join(failed)}")

    def _delete_servers(self) -> None:
        def try_all() -> bool:
            for server in self._servers_left():
                _delete(servers.delete_server, self._api, server["id"])
            return not self._servers_left()

        _poll_until_gone(try_all, "the servers")

    def _delete_images(self) -> None:
        def try_all() -> bool:
            for image in self._images_left():
                _delete(images.delete_image, self._api, image["id"])
            return not self._images_left()

        _poll_until_gone(try_all, f"image {self.image}")

    def _delete_bucket(self) -> None:
        if self.bucket.exists():
            self.bucket.delete_object(self.key)
            self.bucket.delete()

    def _servers_left(self) -> list[servers.Server]:
        mine = (self.server_a, self.server_b)
        return [server for server in servers.list_servers(self._api) if server["name"] in mine]

    def _images_left(self) -> list[dict[str, Any]]:
        return list(images.list_images(self._api, name=self.image))

    def check_nothing_left(self) -> None:
        left = [f"server {server['name']}" for server in self._servers_left()]
        left += [f"image {image['id']}" for image in self._images_left()]
        left += [f"bucket {self.bucket.name}"] if self.bucket.exists() else []
        if self._volumes_before is not None:
            left += [f"volume {volume}" for volume in (self._volume_ids() or set()) - self._volumes_before]
        if left:
            raise CliError(f"left behind: {', '.join(left)}")

    def _volume_ids(self) -> set[str] | None:
        """None where the cloud does not offer volumes."""
        try:
            answer = self._api.get_or_none("volume", "/volumes/detail")
        except CliError as error:
            if error.status == 501 or error.exit_code == ExitCode.UNREACHABLE:
                return None
            raise
        return None if answer is None else {volume["id"] for volume in answer.get("volumes") or []}


def choose_image(api: Api, wanted: str) -> dict[str, Any]:
    """The one named, else the smallest active public one."""
    if wanted:
        return images.find_image(api, wanted)
    public = list(images.list_images(api, __imagetype="gold", status="active"))
    if not public:
        raise CliError(
            "this cloud has no public image", exit_code=ExitCode.NOT_FOUND, hint="choose one with --image NAME"
        )
    return min(public, key=lambda image: (image.get("min_disk") or 0, image.get("size") or 0, image["name"]))


def choose_flavor(api: Api, wanted: str, image: dict[str, Any]) -> dict[str, Any]:
    """The one named, else the smallest that the image fits into; a disk of 0 means that the image decides."""
    if wanted:
        return servers.find_flavor(api, wanted)
    for flavor in servers.list_flavors(api):
        fits_disk = not flavor["disk"] or flavor["disk"] >= (image.get("min_disk") or 0)
        if fits_disk and flavor["ram"] >= (image.get("min_ram") or 0):
            return flavor
    raise CliError("no flavor is large enough for this image", hint="choose one with --flavor NAME")


def _delete(delete: Callable[[Api, str], None], api: Api, thing_id: str) -> None:
    """Asked again later where a job is still at work on it; gone already is as good."""
    try:
        delete(api, thing_id)
    except CliError as error:
        if error.exit_code not in (ExitCode.CONFLICT, ExitCode.NOT_FOUND):
            raise


def _poll_until_gone(try_all: Callable[[], bool], what: str) -> None:
    try:
        poll(try_all, bool, timeout_s=GONE_TIMEOUT_S)
    except TimeoutError:
        raise CliError(f"{what} cannot be deleted: busy for {GONE_TIMEOUT_S:.0f} s") from None
