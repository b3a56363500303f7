"""The engine: maps a pure step over tasks, in this process or on Ray, and resumes what was cut off.

This is the only pipeline file that knows Ray. A task returns counts, never data; what it makes goes
through its Store and is committed by a manifest. Infrastructure errors are retried with back-off;
any other exception would fail again the same way, so it ends the step with the task named. A task
that reads a damaged file is put aside until the others are done: then `DamagedInput` names the
files, so that whoever knows which stage wrote them has them made again, all at once.
"""

import contextlib
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from decant.pipeline.engine import interrupts, manifest
from decant.pipeline.engine.damage import DamagedFile, damage_behind
from decant.pipeline.engine.events import Progress
from decant.pipeline.engine.manifest import Manifest
from decant.pipeline.engine.ray_parts import RAY_DIED, LastWords, dead_parts
from decant.pipeline.engine.retry import is_transient, task_error
from decant.pipeline.engine.storage import Store

MAX_ATTEMPTS = 4
BACKOFF_S = 1.0  # doubled per attempt, with jitter
OBJECT_STORE_BYTES = 128 << 20  # tasks return counts: Ray's default of 30 % of memory is not needed

# Ray workers inherit these: one core per task, whatever library it calls.
WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


RAY_TOKEN = Path.home() / ".ray" / "auth_token"


class StepError(Exception):
    """A step could not be finished; the message names the task and the cause."""


class DamagedInput(StepError):
    """Tasks of a step read files that are damaged: `files`, the first of them in the message."""

    def __init__(self, step: str, files: Sequence[DamagedFile]):
        more = f" (and {len(files) - 1} more files)" if len(files) > 1 else ""
        super().__init__(f"{step}: {files[0]}{more}")
        self.files = tuple(files)


@dataclass(frozen=True)
class Task:
    """One unit of work: `args` and `inputs` are small, JSON-able, and enter the resume digest."""

    key: str
    args: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """What a step's function sees in a worker."""

    store: Store
    config: Any  # what the driver handed in: a RunConfig, a study's own
    task: Task


Step = Callable[[Job], dict[str, Any]]


@dataclass(frozen=True)
class _Work:
    """What one call of `Engine.map` has to run; `digests`: the resume digest of each task."""

    step: str
    function: Step
    tasks: Sequence[Task]
    digests: dict[str, str]
    gpus: float
    memory_mb: float
    damaged: list[DamagedFile] = field(default_factory=list)  # what its tasks could not read


class Engine:
    """Runs steps. `workers=0` stays in this process; `ray_address` joins a running cluster."""

    def __init__(
        self,
        store: Store,
        config: Any,
        workers: int | None = 0,
        ray_address: str | None = None,
        progress: Progress | None = None,
    ):
        self.store = store
        self.config = config
        self.workers = os.cpu_count() or 1 if workers is None else workers
        self.ray_address = ray_address
        self.progress = progress or Progress(store, live=False)
        self.upstream = ""  # digest of what the stages before left; enters every task's question
        self._ray: Any = None
        self._last_words: LastWords | None = None
        self._config_ref: Any = None

    def map(
        self,
        step: str,
        function: Step,
        tasks: Sequence[Task],
        digest: str,
        version: int = 1,
        gpus: float = 0.0,
        memory_mb: float = 0.0,
    ) -> dict[str, dict]:
        """The counts of every task by key; tasks with a matching manifest are not run again.

        `step` names the manifests ("deduplicate/pairs"); `digest` covers the configuration keys
        that the step reads, `version` its code. `gpus` is what Ray gives a task to itself, a share
        of one under 1; where there are no GPUs, and in this process, it asks for nothing. Raises
        StepError when a task cannot be done.
        """
        digests = {
            task.key: manifest.task_digest(
                digest, version, task.args, {**task.inputs, "upstream": self.upstream}
            )
            for task in tasks
        }
        if len(digests) != len(tasks):
            raise ValueError(f"{step}: task keys must be unique")
        done = self._already_done(step, digests)
        todo = [task for task in tasks if task.key not in done]
        self.progress.start(step, total=len(tasks), done=len(done))
        merged = manifest.merged_count(self.store, step)
        fresh: list[Manifest] = []
        work = _Work(step, function, todo, digests, gpus, memory_mb)
        for finished in self._run(work):
            interrupts.check()
            done[finished.key] = finished
            fresh.append(finished)
            self.progress.advance(step, finished.key, finished.counts)
            if len(fresh) >= manifest.MERGE_EVERY:
                manifest.merge(self.store, step, fresh, merged)
                merged, fresh = merged + 1, []
        if work.damaged:
            raise DamagedInput(step, work.damaged)
        manifest.finish(self.store, step, done.values())
        self.progress.finish(step)
        return {task.key: done[task.key].counts for task in tasks}

    def outputs(self, step: str) -> dict[str, Manifest]:
        """The manifests of a finished step by task key, for the steps that read its files."""
        manifests, damaged = manifest.read(self.store, step)
        for damage in damaged:
            raise damage
        return manifests

    def close(self) -> None:
        """Shut down the local Ray that this engine started (never a cluster it joined)."""
        if self._last_words is not None:
            self._last_words.close()
        if self._ray is not None:
            self._ray.shutdown()
            self._ray = None

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _already_done(self, step: str, digests: dict[str, str]) -> dict[str, Manifest]:
        manifests, damaged = manifest.read(self.store, step)
        if damaged:
            self.progress.say(
                f"decant: {len(damaged)} of the manifests of {step} are damaged; "
                "their tasks are done again"
            )
        matching = {key: one for key, one in manifests.items() if digests.get(key) == one.digest}
        gone = manifest.missing_outputs(self.store, matching.values()) if matching else set()
        return {key: one for key, one in matching.items() if key not in gone}

    def _run(self, work: _Work) -> Iterator[Manifest]:
        if not work.tasks:
            return
        if self.workers == 0 and self.ray_address is None:
            for task in work.tasks:
                done = self._run_here(work, task)
                if done is not None:
                    yield done
            return
        yield from self._run_on_ray(work)

    def _run_here(self, work: _Work, task: Task) -> Manifest | None:
        """The manifest of one task run in this process; None where a file it reads is damaged."""
        digest = work.digests[task.key]
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return execute(work.step, work.function, self.store.url, self.config, task, digest)
            except DamagedFile as error:
                work.damaged.append(error)
                return None
            except Exception as error:
                # Ctrl-C in a compiled kernel comes as a SystemError around it.
                if isinstance(error.__cause__, KeyboardInterrupt):
                    raise error.__cause__ from None
                self._retry_or_raise(work.step, task, error, attempt)
        raise AssertionError("unreachable")

    def _run_on_ray(self, work: _Work) -> Iterator[Manifest]:
        """Finished manifests in the order they arrive, with a bounded number of tasks in flight."""
        ray = self._start_ray()
        resources = ray.cluster_resources()
        gpus = work.gpus if resources.get("GPU", 0.0) >= work.gpus else 0.0
        memory = min(work.memory_mb * (1 << 20), resources.get("memory", 0.0)) or None
        remote = ray.remote(num_cpus=1, num_gpus=gpus, memory=memory, max_retries=0)(execute)
        queue = list(reversed(work.tasks))
        attempts = dict.fromkeys(work.digests, 0)
        flying: dict[Any, Task] = {}
        # Twice the workers: a worker never waits for the driver to notice that it is free.
        bound = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
        while queue or flying:
            while queue and len(flying) < bound:
                task = queue.pop()
                attempts[task.key] += 1
                reference = remote.remote(
                    work.step, work.function, self.store.url, self._config_ref, task,
                    work.digests[task.key],
                )  # fmt: skip
                flying[reference] = task
            ready, _ = ray.wait(list(flying), num_returns=1, timeout=1.0)
            interrupts.check()
            if dead := dead_parts(ray):
                self._ray = None  # shutting down what is half dead may end this process unheard
                raise StepError(f"{work.step}: {RAY_DIED.format(' and '.join(dead))}")
            self.progress.tick()
            for reference in ready:
                task = flying.pop(reference)
                try:
                    yield ray.get(reference)
                except Exception as error:
                    cause = task_error(error)
                    if isinstance(cause, DamagedFile):
                        work.damaged.append(cause)
                        continue
                    self._retry_or_raise(work.step, task, cause, attempts[task.key])
                    queue.append(task)

    def _retry_or_raise(self, step: str, task: Task, error: Exception, attempt: int) -> None:
        if not is_transient(error) or attempt >= MAX_ATTEMPTS:
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            raise StepError(f"{step}, task {task.key}: {text}") from error
        wait_s = BACKOFF_S * 2 ** (attempt - 1) * (1 + random.random())
        self.progress.event("retry", step=step, task=task.key, attempt=attempt, error=str(error))
        time.sleep(wait_s)

    def _start_ray(self) -> Any:
        if self._ray is None:
            self._ray = connect_ray(self.workers, self.ray_address)
            self._last_words = LastWords()
            interrupts.before_exit.append(self._last_words.close)
            self._config_ref = self._ray.put(self.config)
        return self._ray


def execute(step: str, function: Step, url: str, config: Any, task: Task, digest: str) -> Manifest:
    """Run one task where it stands and commit its manifest after its data."""
    store = Store(url)
    try:
        counts = function(Job(store, config, task))
    except Exception as error:
        damage = damage_behind(error)
        if damage is None or damage is error:
            raise
        raise damage from None
    outputs = tuple(sorted(store.written, key=lambda written: written.path))
    done = Manifest(task.key, digest, counts, outputs)
    manifest.write(store, step, done)
    return done


def connect_ray(workers: int, address: str | None) -> Any:
    """Ray's module, connected: to the cluster at `address`, else to a local Ray of `workers` cores.

    A local start fails about once in a dozen times on a busy machine (its own time-outs), so it is
    tried twice.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address and (os.environ.get("RAY_AUTH_TOKEN") or RAY_TOKEN.exists()):
        # `ray start` locks new clusters with a token; without this a driver that has it keeps
        # silent and is turned away. A cluster without a lock does not mind.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    options: dict[str, Any] = {
        "logging_level": "ERROR",
        "log_to_driver": False,
        "ignore_reinit_error": True,
        "runtime_env": {"env_vars": WORKER_ENVIRONMENT},
    }
    if address:
        ray.init(address=address, **options)
        interrupts.reinstall()  # Ray takes SIGTERM for itself
        return ray
    options |= {
        # Not another's Ray that runs on this machine, nor one whose address file outlived it.
        "address": "local",
        "num_cpus": max(1, workers),
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
    }
    try:
        ray.init(**options)
    except Exception:
        with contextlib.suppress(Exception):
            ray.shutdown()
        ray.init(**options)
    interrupts.reinstall()
    return ray
