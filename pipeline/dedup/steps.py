"""One deduplication under way: how a step is run over all slots of documents or bins of keys."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.layout import Layout, Part, parts_of
from decant.pipeline.dedup.merging import settle
from decant.pipeline.dedup.spills import write_catalog
from decant.pipeline.engine.execute import Engine, Task
from decant.pipeline.rundir import paths

SCRATCH = paths.DEDUP_SCRATCH
# 2: band keys by multiplication; greedy steps count pairs. 3: fields of choices. 4: checksums.
VERSION = 4


@dataclass
class Steps:
    """What every step needs; `folder(step)` is where a step leaves its spills."""

    engine: Engine
    config: RunConfig
    layout: Layout
    parts: Sequence[Part]
    digest: str

    def folder(self, name: str) -> str:
        return f"{SCRATCH}/{name}"

    def per_slot(
        self, step: str, function: Callable, with_parts: bool = False, first: int = 0, **args
    ) -> dict[str, dict]:
        """Run a step over the slots from `first` on; its spills become the folder of that name."""
        tasks = []
        for slot in range(first, self.layout.slots):
            given: dict[str, Any] = {"slot": slot}
            if with_parts:
                inside = parts_of(list(self.parts), *self.layout.span(slot))
                given["parts"] = [part.as_args() for part in inside]
            tasks.append(self.task(step, f"{slot:08d}", **given, **args))
        return self.run(step, function, tasks)

    def per_bin(
        self,
        step: str,
        function: Callable,
        arguments: Callable[[int], dict],
        bins: int | None = None,
    ) -> dict[str, dict]:
        """Run a step over all bins (of band keys by default), each with its own arguments."""
        tasks = [
            self.task(step, f"{number:08d}", bin=number, **arguments(number))
            for number in range(bins or self.layout.bins)
        ]
        return self.run(step, function, tasks)

    def once(self, step: str, function: Callable, **args) -> dict:
        """Run a step that is one task; its counts."""
        return self.run(step, function, [self.task(step, "all", **args)])["all"]

    def task(self, step: str, key: str, **args) -> Task:
        """A task that knows the layout and where the step's spills go."""
        shared = {"layout": self.layout.as_args(), "folder": self.folder(step)}
        return Task(key, {**shared, **args})

    def run(self, step: str, function: Callable, tasks: list[Task]) -> dict[str, dict]:
        """The counts of tasks by key, after the folder of the step lists their spills."""
        results = self.engine.map(f"deduplicate/{step}", function, tasks, self.digest, VERSION)
        spills = [entry for one in results.values() for entry in one.get("spills", [])]
        write_catalog(self.engine.store, self.folder(step), spills)
        return results

    def settled(self, step: str, bins: int | None = None) -> str:
        """The folder with a step's spills in pieces that are worth a read each."""
        shape = bins or self.layout.slots, self.layout.payload
        name = f"deduplicate/{step}"
        return settle(self.engine, name, self.folder(step), *shape, self.digest, VERSION)
