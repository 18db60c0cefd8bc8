"""Lists of 20 images, single images and jobs, with 100, 10,000 and 1,000,000 images in the catalogue.

Every request differs from the one before, so that what is measured is the work and not what was remembered of it.
Clients that ask the same again and again have rows of their own, also while somebody else changes something.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from functools import partial

import httpx

from benchmarks.bench import Bench
from benchmarks.catalogue import Catalogue, GlanceCatalogues, catalogue_of
from benchmarks.load import Request, wrk
from benchmarks.report import OURS, Contestant, Goal, Result, Row, Sample, interleaved

PART = "lists"
SIZES, QUICK_SIZES = (100, 10_000, 1_000_000), (100, 10_000)
GLANCE_SIZE = 10_000
"""Glance is asked at the smallest size and at this one."""

QUERIES: dict[str, Callable[[Catalogue], str]] = {
    "list 20": lambda _: "/v2/images?limit=20",
    "list by name": lambda catalogue: f"/v2/images?limit=20&name={catalogue.some_name}",
    "list by tag": lambda _: "/v2/images?limit=20&tag=t3",
    "list by property": lambda _: "/v2/images?limit=20&team=team3",
    "list sorted by name": lambda _: "/v2/images?limit=20&sort=name:asc",
    "list sorted by size": lambda _: "/v2/images?limit=20&sort=size:desc",
    "list after a deep marker": lambda catalogue: f"/v2/images?limit=20&marker={catalogue.some_id}",
    "list 20 (IMS)": lambda _: "/v2/cloudimages?limit=20",
    "get one": lambda catalogue: f"/v2/images/{catalogue.some_id}",
}
AGAIN = ("list 20", "get one")
WRITES_PER_S = 20
ALSO_GLANCE = ("list 20", "list by name", "list by tag", "get one")


def measure(bench: Bench) -> None:
    sizes = QUICK_SIZES if bench.quick else SIZES
    with contextlib.ExitStack() as stack:
        catalogues = {size: stack.enter_context(catalogue_of(size)) for size in sizes}
        glance = GlanceCatalogues(bench.peers) if bench.peers else None
        small_glance = glance.grown_to(sizes[0]) if glance else None
        for query in QUERIES:
            _at_every_size(bench, query, catalogues, small_glance)
        for query in AGAIN:
            _again(bench, query, catalogues[sizes[0]], small_glance)
        _poll_job(bench, catalogues[sizes[0]])
        if glance:
            large_glance = glance.grown_to(GLANCE_SIZE)
            for query in ALSO_GLANCE:
                _beside_glance(bench, query, catalogues[GLANCE_SIZE], large_glance)


def _at_every_size(bench: Bench, query: str, catalogues: dict[int, Catalogue], glance: Catalogue | None) -> None:
    """A row about the smallest catalogue beside peer and limit; then one for how each larger one compares to it."""
    (smallest, catalogue), *larger = catalogues.items()
    body = _answer(catalogue, QUERIES[query](catalogue))
    contestants = {OURS: _asks(bench, query, catalogue), "raw ASGI": _same_bytes(bench, body)}
    if glance and query in ALSO_GLANCE:
        contestants["Glance"] = _asks(bench, query, glance)
    beside = list(contestants)
    contestants |= {_at(size): _asks(bench, query, other) for size, other in larger}
    results, load = interleaved(contestants, bench.rounds), os.getloadavg()[0]
    shown = {name: results[name] for name in beside}
    case = f"{query}, {smallest:,} images"
    bench.add(Row(part=PART, case=case, unit="requests/s", results=shown, goals=_goals(query), load=load))
    for size, _ in larger:
        grown = {OURS: _latency(results[_at(size)]), _at(smallest): _latency(results[OURS])}
        goals = [Goal(against=_at(smallest), bound=1 / 1.5)] if size == 1_000_000 else []
        case = f"{query}, {size:,} images"
        bench.add(Row(part=PART, case=case, unit="ms (p99)", results=grown, goals=goals, load=load))


def _again(bench: Bench, query: str, catalogue: Catalogue, glance: Catalogue | None) -> None:
    path = QUERIES[query](catalogue)
    contestants = {
        OURS: _asks_for(bench, catalogue, path, anew=False),
        "raw ASGI": _same_bytes(bench, _answer(catalogue, path), anew=False),
    }
    if glance:
        contestants["Glance"] = _asks_for(bench, glance, QUERIES[query](glance), anew=False)
    bench.measure(PART, f"{query}, the same again", "requests/s", contestants, goals=tuple(_goals(query)))
    written = {name: _while_written(asks, whose) for name, asks, whose in _writers(contestants, catalogue, glance)}
    written["raw ASGI"] = contestants["raw ASGI"]
    case = f"{query}, the same again, {WRITES_PER_S} changes a second"
    bench.measure(PART, case, "requests/s", written)


def _writers(
    contestants: dict[str, Contestant], catalogue: Catalogue, glance: Catalogue | None
) -> list[tuple[str, Contestant, Catalogue]]:
    everybody = [(OURS, catalogue), *([("Glance", glance)] if glance else [])]
    return [(name, contestants[name], whose) for name, whose in everybody]


def _while_written(asks: Contestant, catalogue: Catalogue) -> Contestant:
    """The same, while a tag of an image comes and goes."""

    def run() -> Sample:
        over = threading.Event()
        writer = threading.Thread(target=_write, args=(catalogue, over), daemon=True)
        writer.start()
        try:
            return asks()
        finally:
            over.set()
            writer.join()

    return run


def _write(catalogue: Catalogue, over: threading.Event) -> None:
    path = f"/v2/images/{catalogue.some_id}/tags/written"
    with httpx.Client(base_url=catalogue.url, headers={"X-Auth-Token": catalogue.token}, timeout=60) as images:
        while not over.wait(1 / WRITES_PER_S):
            images.put(path).raise_for_status()
            if not over.wait(1 / WRITES_PER_S):
                images.delete(path).raise_for_status()


def _beside_glance(bench: Bench, query: str, catalogue: Catalogue, glance: Catalogue) -> None:
    contestants = {OURS: _asks(bench, query, catalogue), "Glance": _asks(bench, query, glance)}
    bench.measure(PART, f"{query}, {catalogue.count:,} images", "requests/s", contestants)


def _poll_job(bench: Bench, catalogue: Catalogue) -> None:
    system = catalogue.system
    assert system is not None
    with system.http("image") as image:
        wanted = {"name": "copied"}
        copying = image.post(f"/v1/cloudimages/{catalogue.some_id}/copy", json=wanted).raise_for_status()
    job_id = copying.json()["job_id"]
    system.wait_for_job(job_id)
    path = f"/v1/{system.project_id()}/jobs/{job_id}"
    contestants = {
        OURS: _asks_for(bench, catalogue, path),
        f"{OURS}, the same again": _asks_for(bench, catalogue, path, anew=False),
        "raw ASGI": _same_bytes(bench, _answer(catalogue, path)),
    }
    bench.measure(PART, "poll a job", "requests/s", contestants, goals=(Goal(against="raw ASGI", bound=0.5),))


def _goals(query: str) -> list[Goal]:
    if query in ("list 20", "get one"):
        return [Goal(against="raw ASGI", bound=0.5), Goal(against="Glance", bound=20)]
    return []


def _latency(result: Result) -> Result:
    p99_ms = result.p99_ms or 0.0
    return Result(value=p99_ms, p50_ms=result.p50_ms, p99_ms=p99_ms, cpu_s=result.cpu_s, runs=[p99_ms])


def _at(size: int) -> str:
    return f"at {size:,}"


def _asks(bench: Bench, query: str, catalogue: Catalogue) -> Contestant:
    path = QUERIES[query](catalogue)
    _answer(catalogue, path)
    return _asks_for(bench, catalogue, path)


def _asks_for(bench: Bench, catalogue: Catalogue, path: str, *, anew: bool = True) -> Contestant:
    request = Request(url=catalogue.url + path, headers={"X-Auth-Token": catalogue.token}, anew=anew)
    return partial(wrk, request, bench.seconds, costs=catalogue.costs)


def _same_bytes(bench: Bench, body: bytes, *, anew: bool = True) -> Contestant:
    request = Request(url=bench.raw.url_of(body), anew=anew)
    return partial(wrk, request, bench.seconds, costs=[bench.raw.pid])


def _answer(catalogue: Catalogue, path: str) -> bytes:
    """Raises: AssertionError when the list is empty."""
    answer = httpx.get(catalogue.url + path, headers={"X-Auth-Token": catalogue.token}, timeout=120)
    assert answer.raise_for_status().json().get("images", True), path
    return answer.content
