"""Many small requests: wrk, with what a request needs written into a script of its own."""

import json
import subprocess
import tempfile
from collections.abc import Sequence

import msgspec

from benchmarks.processes import cpu_of
from benchmarks.report import Sample

_DONE = """
done = function(summary, latency, requests)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format('\\nresult {"requests":%d,"microseconds":%d,"p50":%f,"p99":%f,"refused":%d,"failed":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.errors.status, failed))
end
"""


_ANEW = """
local number = 0
request = function()
  number = number + 1
  wrk.headers['X-Request-Number'] = number
  return wrk.format()
end
"""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    method: str = "GET"
    headers: dict[str, str] = {}
    body: str = ""
    script: str = ""
    """More Lua, for requests that differ from each other."""
    anew: bool = False
    """A header with another value each time, so that no request has been answered before."""


class _Outcome(msgspec.Struct, frozen=True):
    requests: int
    microseconds: int
    p50: float
    p99: float
    refused: int
    failed: int


def wrk(request: Request, seconds: float, connections: int = 8, costs: Sequence[int] = ()) -> Sample:
    """Requests a second over kept connections; `costs` are the processes, with all below them, that are to be billed.

    Raises: RuntimeError when an answer was not a success.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_lua(request))
        script.flush()
        before = cpu_of(costs)
        argv = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
        argv += ["-s", script.name, request.url]
        ran = subprocess.run(argv, capture_output=True, text=True, check=False, start_new_session=True)
        used = cpu_of(costs) - before
    line = next((line for line in ran.stdout.splitlines() if line.startswith("result ")), None)
    if line is None:
        raise RuntimeError(f"{' '.join(argv)}: {ran.stdout}{ran.stderr}")
    outcome = msgspec.json.decode(line.removeprefix("result "), type=_Outcome)
    if outcome.refused or outcome.failed or not outcome.requests:
        raise RuntimeError(f"{request.method} {request.url}: {outcome}")
    return Sample(
        value=outcome.requests / outcome.microseconds * 1e6,
        p50_ms=outcome.p50 / 1000,
        p99_ms=outcome.p99 / 1000,
        cpu_s=used / outcome.requests if costs else None,
    )


def _lua(request: Request) -> str:
    lines = [f"wrk.method = {_quoted(request.method)}"]
    lines += [f"wrk.headers[{_quoted(name)}] = {_quoted(value)}" for name, value in request.headers.items()]
    if request.body:
        lines.append(f"wrk.body = {_quoted(request.body)}")
    return "\n".join([*lines, _ANEW if request.anew else request.script, _DONE])


def _quoted(text: str) -> str:
    """JSON's escapes of ASCII are Lua's, too."""
    assert text.isascii()
    return json.dumps(text)
