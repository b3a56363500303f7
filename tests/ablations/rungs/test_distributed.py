"""Several workers on one run: the same batches, the same model."""

from __future__ import annotations

import os
import socket
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="neural rungs need the ablations extra (torch)")

import torch.distributed as dist  # noqa: E402
import torch.multiprocessing as mp  # noqa: E402

from decant.ablations.rungs.distributed import StreamFiles, files_of, train_on_group  # noqa: E402
from decant.ablations.rungs.ladder import Rung, Shape  # noqa: E402
from decant.ablations.rungs.stream import Replay, TokenStream  # noqa: E402
from decant.ablations.rungs.train import train  # noqa: E402
from decant.ablations.rungs.weights import read_tensors  # noqa: E402

EOS = 30
RUNG = Rung("tiny", Shape(32, 1, 2, 48, 31, 16), 4, 1e-2, 4 * 16 * 20, "nothing")


@pytest.fixture
def files(tmp_path):
    """Sixty documents of 25 tokens, counting up from anywhere."""
    starts = np.random.default_rng(0).integers(0, 30, 60)
    np.save(tmp_path / "tokens.npy", ((starts[:, None] + np.arange(25)) % 30).ravel())
    ends = np.arange(1, 61) * 25
    np.save(tmp_path / "spans.npy", np.stack([ends - 25, ends], axis=1))
    return StreamFiles(tmp_path / "tokens.npy", tmp_path / "spans.npy", EOS)


def test_a_stream_s_files_read_back_to_the_same_stream(files, tmp_path):
    mapped = files.open()
    again = StreamFiles.of(mapped, tmp_path / "mapped")
    assert again.tokens == files.tokens  # a mapped pool is not copied
    assert again.open().digest() == mapped.digest()
    part = TokenStream(mapped.token_ids[50:200], np.array([[0, 25], [50, 75]]), EOS)
    copied = StreamFiles.of(part, tmp_path / "part")
    assert copied.open().digest() == part.digest()


def test_a_replay_s_files_read_back_to_the_same_sequences(files, tmp_path):
    new = TokenStream(np.arange(200) % 30, np.array([[0, 100], [100, 200]]), EOS)
    data = Replay(new, files.open(), Fraction(1, 4))
    again = files_of(data, tmp_path / "run").open()
    assert again.digest() == data.digest()
    np.testing.assert_array_equal(again.rows(3, 9, 16), data.rows(3, 9, 16))


def one_of_two(rank: int, port: int, files: StreamFiles, folder: Path) -> None:
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    train(RUNG, files.open(), seed=0, out_dir=folder, eos=EOS, device="cpu")
    dist.destroy_process_group()


def assert_same_model(one: Path, other: Path) -> None:
    alone, _ = read_tensors(one / "model.safetensors")
    together, _ = read_tensors(other / "model.safetensors")
    assert alone.keys() == together.keys()
    for name, weight in alone.items():  # sums in another order: close, not equal
        torch.testing.assert_close(together[name], weight, rtol=1e-3, atol=1e-4)


def test_two_workers_train_the_model_that_one_worker_trains(files, tmp_path):
    train(RUNG, files.open(), seed=0, out_dir=tmp_path / "one", eos=EOS, device="cpu")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(one_of_two, (port, files, tmp_path / "two"), nprocs=2)  # type: ignore
    assert_same_model(tmp_path / "one", tmp_path / "two")


def test_workers_that_do_not_divide_the_batch_are_refused(files, tmp_path):
    with pytest.raises(ValueError, match="do not split over 3 workers"):
        train_on_group(RUNG, files, workers=3, seed=0, out_dir=tmp_path, eos=EOS)


@pytest.mark.ray
@pytest.mark.skipif(
    not os.environ.get("DECANT_TEST_RAY_TRAIN"),
    reason="starts Ray and two torch workers, 40 s of CPU: set DECANT_TEST_RAY_TRAIN=1",
)
def test_ray_train_gives_the_model_that_one_worker_trains(files, tmp_path):
    pytest.importorskip("pandas", reason="Ray Train needs ray[train] (pandas)")
    ray = pytest.importorskip("ray")
    train(RUNG, files.open(), seed=0, out_dir=tmp_path / "one", eos=EOS, device="cpu")
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    try:
        train_on_group(
            RUNG, files, workers=2, seed=0, out_dir=tmp_path / "two", eos=EOS, use_gpu=False
        )
    finally:
        ray.shutdown()
    assert_same_model(tmp_path / "one", tmp_path / "two")
