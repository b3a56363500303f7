"""What differs between a CPU core, a GPU and a group of GPUs, and nothing else.

CPU: float32 on one thread. One single-threaded worker a core is as fast in sum as one worker on
all cores and keeps its speed when the machine is shared; results do not depend on thread counts.
CUDA: bf16 autocast over float32 weights, torch.compile, flash attention through SDPA.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

# Dense bf16 tensor-core rates, FLOP/s, from the makers' data sheets; the longest match counts.
_GPU_PEAK = {
    "B200": 2250e12,
    "H200": 989e12,
    "GH200": 989e12,
    "H100": 989e12,
    "H100 PCIe": 756e12,
    "A100": 312e12,
    "L40S": 362e12,
    "A10": 125e12,
    "V100": 125e12,
}


@dataclass(frozen=True)
class Device:
    """Where a run computes, and its part of a group of workers."""

    place: torch.device
    rank: int = 0
    world: int = 1

    @property
    def is_cuda(self) -> bool:
        return self.place.type == "cuda"

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @contextlib.contextmanager
    def prepared(self) -> Iterator[None]:
        """Thread count, denormals and product precision set for training, and put back after.

        Denormals: late in training Adam's second moments and attention weights underflow, and a
        CPU step then takes up to ten times as long.
        """
        threads = torch.get_num_threads()
        precision = torch.get_float32_matmul_precision()
        if self.is_cuda:
            torch.set_float32_matmul_precision("high")
        else:
            torch.set_num_threads(1)
            torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_flush_denormal(False)
            torch.set_float32_matmul_precision(precision)

    def precision(self) -> contextlib.AbstractContextManager[object]:
        """bf16 products on CUDA, float32 on a CPU (bf16 there is 3 to 7 times slower)."""
        if self.is_cuda:
            return torch.autocast("cuda", dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def wrapped(self, model: nn.Module) -> nn.Module:
        """The model compiled for CUDA and, in a group, with averaged gradients."""
        faces: nn.Module = torch.compile(model) if self.is_cuda else model  # type: ignore
        if self.world == 1:
            return faces
        return DistributedDataParallel(faces, device_ids=[self.place] if self.is_cuda else None)

    def accumulating(
        self, model: nn.Module, last: bool
    ) -> contextlib.AbstractContextManager[object]:
        """Keeps gradients local until a batch's last micro-batch."""
        if isinstance(model, DistributedDataParallel) and not last:
            return model.no_sync()
        return contextlib.nullcontext()

    def share(self, first: int, count: int) -> tuple[int, int]:
        """This worker's sequences of a batch; a batch is the same for any number of workers."""
        if count % self.world:
            raise ValueError(f"{count} sequences a batch do not split over {self.world} workers")
        return first + self.rank * (count // self.world), count // self.world

    def mean(self, value: Tensor) -> Tensor:
        """The value's mean over the group."""
        if self.world > 1:
            dist.all_reduce(value)
            value /= self.world
        return value

    def wait_for_all(self) -> None:
        if self.world > 1:
            dist.barrier()

    @cached_property
    def peak_flops(self) -> float | None:
        """What the whole group could reach in dense products, FLOP/s; measured on a CPU.

        None for a GPU that is not in the list.
        """
        if not self.is_cuda:
            return self.world * _cpu_peak()
        name = torch.cuda.get_device_name(self.place)
        known = [key for key in _GPU_PEAK if key in name]
        return self.world * _GPU_PEAK[max(known, key=len)] if known else None


def pick_device(name: str | None = None) -> Device:
    """The device of that name, else the first GPU, else the CPU; inside a group, one's own."""
    rank, world = 0, 1
    if dist.is_available() and dist.is_initialized():
        rank, world = dist.get_rank(), dist.get_world_size()
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{torch.cuda.current_device()}"
    return Device(torch.device(name), rank, world)


def _cpu_peak() -> float:
    """Best of three float32 products of 1024 × 1024 on the threads in use, FLOP/s."""
    left, right = torch.ones(1024, 1024), torch.ones(1024, 1024)
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        torch.mm(left, right)
        best = min(best, time.perf_counter() - began)
    return 2 * 1024**3 / best
