# ruff: noqa: D417 - ctx is injected
"""`stillframe demo`."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

from stillframe.cli.api import Api
from stillframe.cli.cloud import choose_cloud
from stillframe.cli.context import Context, Ctx
from stillframe.cli.demo.narrator import Narrator
from stillframe.cli.demo.story import Story
from stillframe.cli.demo.system import PrivateSystem
from stillframe.cli.errors import CliError, ExitCode, TerminatedError
from stillframe.cli.output import format_seconds, print_json, say, tell_error
from stillframe.cli.session import TokenCache, default_cache_dir
from stillframe.cli.transcript import print_as_curl


def run_demo(
    *,
    data_dir: Path | None = None,
    reuse: bool = False,
    keep: bool = False,
    image: str = "",
    flavor: str = "",
    ctx: Ctx,
) -> int:
    """Watch the whole story once: a server is frozen into an image, and another one boots from it.

    Starts a system of its own for it, unless --os-cloud or --reuse names one that runs already, and cleans up
    afterwards. With --verbose it also prints every request as a curl command.

    Parameters
    ----------
    data_dir
        Directory for the system of its own; it is kept. Left out, a temporary one is used.
    reuse
        Use the cloud every other command would use.
    keep
        Leave the system, the servers and the image as they are at the end.
    image
        Name or id of the image to boot first. It has to run the script it is given and print the file /root/marker
        on its console when it boots, as Stillframe's own does.
    flavor
        Name or id of the flavor of both servers.
    """
    narrator = Narrator(say if ctx.is_json else _print)
    system = None if reuse or ctx.os_cloud else PrivateSystem(data_dir, narrator.tell)
    return Demo(ctx, narrator, system, image=image, flavor=flavor, keep=keep).run()


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Demo:
    def __init__(
        self, ctx: Context, narrator: Narrator, system: PrivateSystem | None, *, image: str, flavor: str, keep: bool
    ) -> None:
        self._ctx = ctx
        self._narrator = narrator
        self._system = system
        self._image = image
        self._flavor = flavor
        self._keep = keep
        self._story: Story | None = None
        self._is_clear = False

    def run(self) -> int:
        """The exit code; whatever happened, what was made is gone afterwards unless it was to be kept."""
        try:
            self._play()
        except CliError as error:
            verdict, code = self._explain(error), error.exit_code
        except KeyboardInterrupt as error:
            verdict = f"INTERRUPTED after {self._took}"
            code = ExitCode.TERMINATED if isinstance(error, TerminatedError) else ExitCode.INTERRUPTED
        else:
            verdict, code = f"PASSED in {self._took}: {self._proof}", ExitCode.OK
        left = self._clean_up(passed=code == ExitCode.OK)
        if left:
            verdict, code = f"{verdict}; but {left}", code or ExitCode.FAILED
        self._end(verdict, code)
        return code

    def _explain(self, error: CliError) -> str:
        """The verdict; the details go to stderr, with the last words of a system that is about to be deleted."""
        tell_error(error)
        if self._system and (tails := self._system.log_tails()):
            say(tails)
        where = f" in step {self._narrator.running}" if self._narrator.running else ""
        return f"FAILED after {self._took}{where}: {str(error).splitlines()[0]}"

    @property
    def _took(self) -> str:
        return format_seconds(self._narrator.elapsed_s)

    @property
    def _proof(self) -> str:
        assert self._story  # noqa: S101 - it has been played
        what = f"the marker {self._story.marker} written in server A was read back from server B"
        return f"{what}; everything is kept" if self._keep else f"{what}; nothing is left behind"

    def _play(self) -> None:
        self._story = story = self._open_story()
        story.play()
        if self._keep:
            return
        with self._narrator.step("Delete servers, image and bucket, and check that nothing is left"):
            self._narrator.command(f"server delete {story.server_a} {story.server_b} --wait")
            self._narrator.command(f"image delete {story.image}")
            story.clear()
            story.check_nothing_left()
            self._is_clear = True
        if self._system:
            with self._narrator.step("Take the private system down"):
                self._system.stop()
                self._system = None

    def _open_story(self) -> Story:
        on_response = print_as_curl if self._ctx.verbose else None
        if self._system:
            with self._narrator.step("Start a private system"):
                cloud, cache = self._system.start(), TokenCache(self._system.token_dir)
        else:
            cloud, cache = choose_cloud(self._ctx.os_cloud), TokenCache(default_cache_dir())
        api = Api(cloud, cache, on_response)
        with self._narrator.step(f"Get a token from {cloud.auth_url}"):
            expires = api.open_token().expires
            self._narrator.tell(f"for project {cloud.project_name or api.project_id}, valid until {expires:%F %T} UTC")
        return Story(self._ctx, api, self._narrator, image=self._image, flavor=self._flavor)

    def _clean_up(self, *, passed: bool) -> str:
        """What could not be cleaned up, or nothing. Ctrl-C does not stop it: it ends by itself within minutes."""
        if self._keep and passed:
            self._tell_how_to_go_on()
            return ""
        signals = (signal.SIGINT, signal.SIGTERM)
        previous = [signal.signal(number, signal.SIG_IGN) for number in signals]
        try:
            if not passed:
                self._narrator.tell("cleaning up")
            story = None if self._is_clear else self._story
            steps = (story.clear if story else None, self._system.stop if self._system else None)
            return "; ".join(text for step in steps if step and (text := _failure(step)))
        finally:
            for number, handler in zip(signals, previous, strict=True):
                signal.signal(number, handler)

    def _tell_how_to_go_on(self) -> None:
        if self._system:
            self._narrator.tell(f"the system runs on; use it with: export STILLFRAME_DATA_DIR={self._system.data_dir}")
            self._narrator.tell("then: stillframe server list; stillframe image list; and to end it: stillframe down")

    def _end(self, verdict: str, code: int) -> None:
        if self._ctx.is_json:
            steps = [{"step": title, "seconds": round(took, 3)} for title, took in self._narrator.steps]
            seconds = round(self._narrator.elapsed_s, 3)
            print_json({"passed": code == ExitCode.OK, "verdict": verdict, "seconds": seconds, "steps": steps})
        else:
            _print(f"\ndemo: {verdict}")


def _failure(step: Callable[[], None]) -> str:
    try:
        step()
    except CliError as error:
        return str(error)
    return ""
