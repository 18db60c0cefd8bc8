"""Lists of 20 images, single images and jobs, with 100, 10,000 and 1,000,000 images in the catalogue."""

import contextlib
import os
from collections.abc import Callable

from benchmarks import ours
from benchmarks.bench import Bench
from benchmarks.catalogue import Catalogue, catalogue_of
from benchmarks.load import Request, wrk
from benchmarks.report import OURS, Contestant, Goal, Result, Row, Sample, interleaved

PART = "lists"
SIZES, QUICK_SIZES = (100, 10_000, 1_000_000), (100, 10_000)

QUERIES: dict[str, Callable[[Catalogue], str]] = {
    "list 20": lambda _: "/v2/images?limit=20",
    "list by name": lambda catalogue: f"/v2/images?limit=20&name={catalogue.some_name}",
    "list by tag": lambda _: "/v2/images?limit=20&tag=t7",
    "list by property": lambda _: "/v2/images?limit=20&team=team7",
    "list sorted by name": lambda _: "/v2/images?limit=20&sort=name:asc",
    "list sorted by size": lambda _: "/v2/images?limit=20&sort=size:desc",
    "list after a deep marker": lambda catalogue: f"/v2/images?limit=20&marker={catalogue.some_id}",
    "list 20 (IMS)": lambda _: "/v2/cloudimages?limit=20",
    "get one": lambda catalogue: f"/v2/images/{catalogue.some_id}",
}


def measure(bench: Bench) -> None:
    sizes = QUICK_SIZES if bench.quick else SIZES
    with contextlib.ExitStack() as stack:
        catalogues = {size: stack.enter_context(catalogue_of(size)) for size in sizes}
        for query, path_in in QUERIES.items():
            _query(bench, catalogues, query, path_in)
        _poll_job(bench, catalogues[sizes[0]])


def _query(bench: Bench, catalogues: dict[int, Catalogue], query: str, path_in: Callable[[Catalogue], str]) -> None:
    """A row about the smallest catalogue beside the limit; then how the others compare to it."""
    smallest, *larger = catalogues
    body = _answer(catalogues[smallest], path_in(catalogues[smallest]))
    same_bytes = Request(url=bench.raw.url_of(body))
    contestants: dict[str, Contestant] = {
        OURS: _asks(bench, catalogues[smallest], path_in(catalogues[smallest])),
        "raw ASGI": lambda: wrk(same_bytes, bench.seconds, costs=[bench.raw.pid]),
    }
    contestants |= {_at(size): _asks(bench, catalogues[size], path_in(catalogues[size])) for size in larger}
    results = interleaved(contestants, bench.rounds)
    beside = {name: result for name, result in results.items() if name not in map(_at, larger)}
    load = os.getloadavg()[0]
    bench.add(Row(part=PART, case=query, unit="requests/s", results=beside, goals=_goals(query), load=load))
    for size in larger:
        grown = {OURS: _latency(results[_at(size)]), _at(smallest): _latency(results[OURS])}
        goals = [Goal(against=_at(smallest), bound=1 / 1.5)] if size == 1_000_000 else []
        case = f"{query}, {size:,} images"
        bench.add(Row(part=PART, case=case, unit="ms (p99)", results=grown, goals=goals, load=load))


def _goals(query: str) -> list[Goal]:
    if query in ("list 20", "get one"):
        return [Goal(against="raw ASGI", bound=0.5), Goal(against="Glance", bound=20)]
    return []


def _latency(result: Result) -> Result:
    p99_ms = result.p99_ms or 0.0
    return Result(value=p99_ms, p50_ms=result.p50_ms, p99_ms=p99_ms, cpu_s=result.cpu_s, runs=[p99_ms])


def _at(size: int) -> str:
    return f"at {size:,}"


def _asks(bench: Bench, catalogue: Catalogue, path: str) -> Callable[[], Sample]:
    headers = {"X-Auth-Token": catalogue.system.token()}
    request = Request(url=catalogue.system.url("image") + path, headers=headers)
    pid = ours.main_pid(catalogue.system)
    return lambda: wrk(request, bench.seconds, costs=[pid])


def _answer(catalogue: Catalogue, path: str) -> bytes:
    """Raises: AssertionError when the list is empty."""
    with catalogue.system.http("image") as image:
        answer = image.get(path).raise_for_status()
    assert answer.json().get("images", True), path
    return answer.content


def _poll_job(bench: Bench, catalogue: Catalogue) -> None:
    system = catalogue.system
    with system.http("image") as image:
        wanted = {"name": "copied", "description": "", "cmk_id": ""}
        answer = image.post(f"/v1/cloudimages/{catalogue.some_id}/copy", json=wanted).raise_for_status()
    job_id = answer.json()["job_id"]
    system.wait_for_job(job_id)
    path = f"/v1/{system.project_id()}/jobs/{job_id}"
    same_bytes = Request(url=bench.raw.url_of(_answer(catalogue, path)))
    contestants: dict[str, Contestant] = {
        OURS: _asks(bench, catalogue, path),
        "raw ASGI": lambda: wrk(same_bytes, bench.seconds, costs=[bench.raw.pid]),
    }
    bench.measure(PART, "poll a job", "requests/s", contestants, goals=(Goal(against="raw ASGI", bound=0.5),))
