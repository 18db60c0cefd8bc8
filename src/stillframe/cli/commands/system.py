"""`stillframe up|down|status|doctor|serve|worker`: for whoever runs a system."""
# ruff: noqa: D417 - ctx is injected, and a parameter whose name says it all needs no help

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stillframe.blobs.layout import DataLayout
from stillframe.cli.context import Context, Ctx
from stillframe.cli.errors import ExitCode
from stillframe.cli.output import print_fields, print_json, say
from stillframe.config import Settings, load_settings

DataDir = Annotated[Path | None, Parameter(name="--data-dir")]
PortOffset = Annotated[int | None, Parameter(name="--port-offset")]
ConfigFile = Annotated[Path | None, Parameter(name="--config")]


def up(
    *,
    data_dir: DataDir = None,
    port_offset: PortOffset = None,
    config: ConfigFile = None,
    workers: int | None = None,
    detach: bool = False,
    ctx: Ctx,
) -> None:
    """Start a system on this machine: API, worker and object store, on loopback.

    Parameters
    ----------
    data_dir
        Where everything is kept; made when it is missing.
    port_offset
        Added to every port, to run beside something else.
    config
        A TOML file with any of the settings; `stillframe.toml` in the data directory otherwise.
    workers
        How many processes answer requests, sharing the ports; 1 unless set.
    detach
        Return as soon as everything answers, and leave it running.
    """
    from stillframe.ops.up import up as run_up  # noqa: PLC0415 - not needed to use a system
    from stillframe.ops.up import up_detached  # noqa: PLC0415

    settings = _settings(data_dir, port_offset, config, api_processes=workers)
    if not detach:
        run_up(settings, lambda: _announce(settings, ctx))
        return
    up_detached(settings)
    _announce(settings, ctx)


def down(*, data_dir: DataDir = None, config: ConfigFile = None, machines: bool = False, ctx: Ctx) -> None:
    """Stop the system. Servers keep running and are found again by the next `up`, unless told otherwise.

    Parameters
    ----------
    machines
        Stop the servers' machines too, without asking the guests.
    """
    from stillframe.ops.machines import end_machines  # noqa: PLC0415
    from stillframe.ops.up import down as run_down  # noqa: PLC0415

    settings = _settings(data_dir, None, config)
    pid = run_down(settings)
    ended = end_machines(DataLayout(settings.data_dir)) if machines else 0
    if ctx.is_json:
        print_json({"stopped": pid is not None, "pid": pid, "machines_ended": ended})
    elif pid is None:
        say(f"Nothing runs for {settings.data_dir}.")
    else:
        say("Stopped.")


def status(*, data_dir: DataDir = None, config: ConfigFile = None, ctx: Ctx) -> int:
    """Tell what runs and where. The exit code is 0 when everything answers."""
    import msgspec  # noqa: PLC0415

    from stillframe.ops.up import status as find_status  # noqa: PLC0415

    found = find_status(_settings(data_dir, None, config))
    plain = msgspec.to_builtins(found)
    if ctx.is_json:
        print_json(plain)
    else:
        print_fields({name: value for name, value in plain.items() if name != "services"} | found.services)
    return ExitCode.OK if found.running and not found.silent else ExitCode.UNREACHABLE


def doctor(*, data_dir: DataDir = None, port_offset: PortOffset = None, config: ConfigFile = None, ctx: Ctx) -> int:
    """Check what this machine has: accelerator (by running a guest), tools, disk, ports."""
    from stillframe.ops.doctor import examine  # noqa: PLC0415

    findings = examine(_settings(data_dir, port_offset, config))
    if ctx.is_json:
        print_json([{"check": one.check, "ok": one.ok, "finding": one.finding, "fix": one.fix} for one in findings])
    else:
        width = max(len(one.check) for one in findings)
        for one in findings:
            fix = f"\n{'':{width + 6}}fix: {one.fix}" if one.fix and not one.ok else ""
            sys.stdout.write(f"{'ok' if one.ok else 'BAD':<4}  {one.check:<{width}}  {one.finding}{fix}\n")
    return ExitCode.OK if all(one.ok for one in findings) else ExitCode.FAILED


def serve(*, data_dir: DataDir = None, port_offset: PortOffset = None, config: ConfigFile = None) -> None:
    """Run the API process alone, in the foreground."""
    from stillframe.ops.serve import run  # noqa: PLC0415

    run(_settings(data_dir, port_offset, config))


def worker(*, data_dir: DataDir = None, port_offset: PortOffset = None, config: ConfigFile = None) -> None:
    """Run a worker process alone, in the foreground."""
    from stillframe.ops.worker import run  # noqa: PLC0415

    run(_settings(data_dir, port_offset, config))


def _settings(
    data_dir: Path | None, port_offset: int | None, config: Path | None, api_processes: int | None = None
) -> Settings:
    return load_settings(
        config,
        data_dir=None if data_dir is None else str(data_dir.absolute()),
        port_offset=port_offset,
        api_processes=api_processes,
    )


def _announce(settings: Settings, ctx: Context) -> None:
    services = {name: settings.url(name) for name in ("identity", "image", "compute", "volume", "network", "obs")}
    clouds = settings.data_dir / "clouds.yaml"
    if ctx.is_json:
        print_json({"services": services, "clouds_yaml": str(clouds), "openrc": str(settings.data_dir / "openrc")})
        return
    print_fields(services)
    say(
        f"\nAccounts are in {clouds} (clouds `stillframe` and `stillframe-admin`). Try:\n"
        f"  export OS_CLIENT_CONFIG_FILE={clouds} OS_CLOUD=stillframe\n"
        "  stillframe server create --name first --image stillframe-tiny --flavor s3.small.1 --wait\n"
        "  stillframe server stop first --wait && stillframe image create --server first --name golden --wait"
    )
    sys.stdout.flush()
