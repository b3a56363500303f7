"""A deduplication under way: how a step is run over all slots of documents or bins of band keys."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from decant.pipeline.config import RunConfig
from decant.pipeline.dedup.compare import compare
from decant.pipeline.dedup.layout import Layout, Part, parts_of
from decant.pipeline.dedup.spills import settle, write_catalog
from decant.pipeline.engine.execute import Engine, Task
from decant.pipeline.rundir import paths

SCRATCH = paths.DEDUP_SCRATCH
VERSION = 3  # 2: band keys by multiplication; greedy steps count pairs. 3: fields of choices


@dataclass
class Deduplication:
    """What every step needs; `folder(step)` is where a step leaves its runs."""

    engine: Engine
    config: RunConfig
    layout: Layout
    parts: Sequence[Part]
    digest: str

    def folder(self, name: str) -> str:
        return f"{SCRATCH}/{name}"

    def per_slot(
        self, step: str, function: Callable, with_parts: bool = False, first: int = 0, **args
    ) -> dict:
        """Run a step over the slots from `first` on; its runs become the folder of that name."""
        tasks = []
        for slot in range(first, self.layout.slots):
            mine: dict[str, Any] = {"slot": slot}
            if with_parts:
                inside = parts_of(list(self.parts), *self.layout.span(slot))
                mine["parts"] = [list(asdict(part).values()) for part in inside]
            tasks.append(Task(f"{slot:08d}", {**self.shared(step), **mine, **args}))
        return self.run(step, function, tasks)

    def run(self, step: str, function: Callable, tasks: list[Task]) -> dict[str, dict]:
        results = self.engine.map(f"deduplicate/{step}", function, tasks, self.digest, VERSION)
        runs = [entry for one in results.values() for entry in one.get("runs", [])]
        write_catalog(self.engine.store, self.folder(step), runs)
        return results

    def shared(self, step: str) -> dict[str, Any]:
        return {"layout": self.layout.as_args(), "folder": self.folder(step)}

    def settled(self, step: str, bins: int | None = None) -> str:
        """The folder with a step's runs in pieces that are worth a read each."""
        return settle(
            self.engine,
            f"deduplicate/{step}",
            self.folder(step),
            bins or self.layout.slots,
            self.layout.payload,
            self.digest,
            VERSION,
        )

    def per_bin(
        self,
        step: str,
        function: Callable,
        arguments: Callable[[int], dict],
        bins: int | None = None,
    ) -> dict:
        """Run a step over all bins (of band keys by default), each with its own arguments."""
        tasks = [
            Task(f"{number:08d}", {**self.shared(step), "bin": number, **arguments(number)})
            for number in range(bins or self.layout.bins)
        ]
        return self.run(step, function, tasks)

    def compare(self, name: str, pairs: str, banded: bool) -> tuple[str, dict[str, dict]]:
        """(folder of scores, counts): the signatures of a folder's pairs, compared."""
        folders = self.folder("sketches"), SCRATCH
        sides = pairs, banded, *folders
        return compare(self.engine, name, self.layout, *sides, self.digest, VERSION)
