"""Recipes: what a job of each kind does. A recipe is data; its steps are plain functions of the rooms.

Rules for a step: it may be run again from its start at any time (the process can die right after its effect and before
that is noted), so it looks before it makes; it raises only errors of our tree for what a caller should read; its last
transaction ends the job (`succeed_job`) when it is the recipe's last step. `undo` runs when a step failed or the job
was cancelled: it takes back whatever is there, without knowing how far the steps came.
"""

from collections.abc import Awaitable, Callable, Iterator

import msgspec

from stillframe.jobs.model import Job
from stillframe.jobs.resources import Resources

StepFunction = Callable[[Resources, Job], Awaitable[None]]


class Step(msgspec.Struct, frozen=True):
    """`attempts` counts tries for errors that time can heal (UnavailableError); every other error ends the job."""

    name: str
    run: StepFunction
    attempts: int = 1
    first_pause_s: float = 0.5


class Recipe(msgspec.Struct, frozen=True):
    kind: str
    steps: tuple[Step, ...]
    undo: StepFunction


class RecipeBook:
    """Every recipe the worker knows, by kind."""

    def __init__(self, *recipes: Recipe) -> None:
        self._recipes = {recipe.kind: recipe for recipe in recipes}
        if len(self._recipes) != len(recipes):
            raise ValueError("two recipes of one kind")

    def find(self, kind: str) -> Recipe:
        """A kind nobody knows (any more) has no steps, so that its jobs end as failed."""
        return self._recipes.get(kind) or Recipe(kind=kind, steps=(), undo=_nothing)

    def __iter__(self) -> Iterator[Recipe]:
        return iter(self._recipes.values())


async def _nothing(resources: Resources, job: Job) -> None:
    """There is nothing to take back."""
