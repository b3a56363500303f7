"""What a worker does: train and score one trunk, or one branch; each is found again by its data.

A branch costs seconds and leaves a few numbers. They lie in a file named by all that shaped them,
so that a rule more in a study, or another number of workers, trains no branch twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from decant.ablations.annealing.branches import Branch, Sets, branches, trunk_stream
from decant.ablations.annealing.design import KEPT, REMOVED, RUNG, AnnealDesign, BranchLayout
from decant.ablations.annealing.effect import BranchScores
from decant.ablations.measuring import shared
from decant.ablations.measuring.plans import WITH, WITHOUT
from decant.ablations.scoring.scored import Scored
from decant.pipeline.engine.execute import Engine, Job, Task

VERSION = 1  # of what is measured; raise it when the same study would give other numbers
STEP = f"ablate-{RUNG}"


def task_args(address: str, layout: BranchLayout, device: str | None) -> dict[str, Any]:
    """The arguments of every task of a study."""
    design, judged = asdict(layout.design), list(layout.judged)
    return {"address": address, "design": design, "judged": judged, "device": device}


def train_trunks(engine: Engine, args: Mapping[str, Any], gpus: float = 0.0) -> np.ndarray:
    """Signals of every trunk at each quarter of its tokens, [quarters, trunks, 1, signals]."""
    numbers = range(args["design"]["trunks"])
    tasks = [Task(f"{n}", {**args, "trunk": n}) for n in numbers]
    results = engine.map(f"{STEP}/trunks", train_trunk, tasks, _digest(args), VERSION, gpus)
    values = np.array([results[task.key]["signals"] for task in tasks])
    return values.transpose(1, 0, 2)[:, :, None, :]


def train_branches(
    engine: Engine, args: Mapping[str, Any], layout: BranchLayout, chosen: Sequence[int],
    gpus: float = 0.0,
) -> dict[int, tuple[BranchScores, dict[str, Any]]]:  # fmt: skip
    """The scores of each chosen contrast's branches, and the tasks' metrics of its two arms."""
    branches_needed = [branch for number in chosen for branch in branches(layout, number)]
    tasks = [Task(branch.key, {**args, "branch": asdict(branch)}) for branch in branches_needed]
    results = engine.map(f"{STEP}/branches", train_branch, tasks, _digest(args), VERSION, gpus)
    return {number: _gathered(layout, number, results) for number in chosen}


def _gathered(
    layout: BranchLayout, number: int, found: Mapping[str, dict[str, Any]]
) -> tuple[BranchScores, dict[str, Any]]:
    design = layout.design
    rows = [(branch, found[branch.key]) for branch in branches(layout, number)]
    values = {}
    for arm in (REMOVED, KEPT):
        signals = np.array([row["signals"] for branch, row in rows if branch.arm == arm])
        values[arm] = signals.reshape(design.trunks, design.sets_of(arm), len(design.doses), -1)
    overlap = tuple(Sets(layout, number, trunk).overlap() for trunk in range(design.trunks))
    scored = [(branch.arm, row["tasks"]) for branch, row in rows if row["tasks"]]
    names = scored[0][1] if scored else {}
    return (
        BranchScores(values[REMOVED], values[KEPT], design.doses, overlap),
        {task: _metrics([(arm, tasks[task]) for arm, tasks in scored]) for task in names},
    )


def _metrics(scored: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """A task's means and sds over the models of each arm, under the names of a study's arms."""
    result: dict[str, Any] = {"trainings": {}, "questions": scored[0][1]["questions"]}
    for role, arm in ((WITHOUT, REMOVED), (WITH, KEPT)):
        metrics = [one["metrics"] for name, one in scored if name == arm]
        each = {m: [one[m] for one in metrics] for m in metrics[0]}
        result[role] = {m: float(np.mean(values)) for m, values in each.items()}
        result[f"{role}_sd"] = {m: float(np.std(values, ddof=1)) for m, values in each.items()}
        result["trainings"][role] = len(metrics)
    gain = result[WITHOUT]["gold_bpb"] - result[WITH]["gold_bpb"]
    return {**result, "gold_bpb_gain": gain}


def train_trunk(job: Job) -> dict[str, Any]:
    """One trunk: its signals at each quarter of its tokens. Its weights stay in the study."""
    at_work, number = _at_work(job), job.task.args["trunk"]
    signals = at_work.trainer().trunk(number, at_work.trunk_folder(number))
    return {"signals": signals.tolist(), "tokens": at_work.layout.trunk_tokens}


def train_branch(job: Job) -> dict[str, Any]:
    """One branch: its signals and, where it stands for its set, every task's metrics."""
    at_work, branch = _at_work(job), Branch(**job.task.args["branch"])
    path = f"models/{RUNG}/branches/{at_work.name_of(branch)}.json"
    if not job.store.exists(path):
        scores = at_work.scores(branch)
        job.store.write_bytes(path, json.dumps(scores).encode())
    return json.loads(job.store.read_bytes(path))


class _AtWork:
    """A layout in a worker, with what is made of it once."""

    def __init__(self, url: str, args: Mapping[str, Any]) -> None:
        study, device = shared.load(url, args["address"]), args["device"]
        design = AnnealDesign(**{**args["design"], "doses": tuple(args["design"]["doses"])})
        self.layout = BranchLayout(study.pool, design, study.contrasts, tuple(args["judged"]))
        self.scored: Scored = study.scored
        self._pool, self._device = study.pool_address, device
        self._models = Path(url) / "models" / RUNG
        self._sets: dict[tuple[int, int], Sets] = {}
        self._folders: dict[int, Path] = {}
        self._step = design.step(study.pool.vocab_size)

    def trainer(self) -> Any:
        """The trainer of this layout; torch is imported only where something is trained."""
        from decant.ablations.annealing.training import BranchTrainer

        return BranchTrainer(self.layout, self.scored, self._device)

    def sets(self, branch: Branch) -> Sets:
        key = (branch.contrast, branch.trunk)
        if key not in self._sets:
            self._sets[key] = Sets(self.layout, *key)
        return self._sets[key]

    def trunk_folder(self, number: int) -> Path:
        """Where a trunk lies: the name holds all that shapes its weights."""
        if number not in self._folders:
            identity = [self._recipe(), number, trunk_stream(self.layout, number).digest()]
            digest = xxhash.xxh3_128_hexdigest(json.dumps(identity, sort_keys=True).encode())
            self._folders[number] = self._models / f"trunk-{digest}"
        return self._folders[number]

    def name_of(self, branch: Branch) -> str:
        """Hex name of what the branch starts from, reads and is scored on."""
        stream = self.sets(branch).stream(branch)
        trunk = self.trunk_folder(branch.trunk).name
        identity = [self._recipe(), trunk, stream.digest(), _represents(branch, self.layout.design)]
        state = xxhash.xxh3_128(json.dumps(identity, sort_keys=True).encode())
        state.update(self._texts)
        return state.hexdigest()

    def _recipe(self) -> list[Any]:
        return [VERSION, self._step.recipe(), self._step.learning_rate, self._pool]

    @cached_property
    def _texts(self) -> bytes:
        """Digest of every string that is scored, as token ids."""
        state = xxhash.xxh3_128()
        lists = list(self.scored.gold)
        for _, encoded in self.scored.tasks:
            lists += [encoded.contexts, encoded.continuations]
        for ids in lists:
            state.update(np.array([len(i) for i in ids], dtype=np.int64).tobytes())
            state.update(np.array([t for i in ids for t in i], dtype=np.int64).tobytes())
        return state.digest()

    def scores(self, branch: Branch) -> dict[str, Any]:
        """The branch trained and scored."""
        trainer = self.trainer()
        model = trainer.branch(branch, self.sets(branch), self.trunk_folder(branch.trunk))
        metrics = trainer.tasks(model) if _represents(branch, self.layout.design) else {}
        return {"signals": trainer.signals(model).tolist(), "tasks": metrics}


def _represents(branch: Branch, design: AnnealDesign) -> bool:
    """Whether all options are scored: of each set's first branch at the highest dose."""
    return branch.run == design.doses.index(max(design.doses))


def _at_work(job: Job) -> _AtWork:
    shared_args = {name: job.task.args[name] for name in ("address", "design", "judged", "device")}
    return _made(job.store.url, json.dumps(shared_args, sort_keys=True))


@lru_cache(maxsize=1)
def _made(url: str, args: str) -> _AtWork:
    """Built once per process."""
    return _AtWork(url, json.loads(args))


def _digest(args: Mapping[str, Any]) -> str:
    """Hex name of what tasks are given."""
    return xxhash.xxh3_128_hexdigest(json.dumps(args, sort_keys=True).encode())
