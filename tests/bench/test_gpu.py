"""The clock readings of a CUDA device, and measurements on such a device."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.machine.gpu import readings, throttled
from bench.measures.memory import peak_bytes
from bench.sweep.measure import Measure
from results.records import Cell
from tests.support.places import ROOT
from tests.support.small_runs import run, sweep_of

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")


def has_driver() -> bool:
    """Whether CUDA's driver is on this machine."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (0x000, False),
        (0x001, False),  # idle
        (0x002, False),  # application clocks
        (0x004, True),  # software power cap
        (0x008, True),  # hardware slowdown
        (0x010, False),  # sync boost
        (0x020, True),  # software thermal slowdown
        (0x040, True),  # hardware thermal slowdown
        (0x080, True),  # hardware power brake
        (0x100, False),  # display clocks
        (0x101, False),
        (0x105, True),
    ],
)
def test_a_clock_is_throttled_by_heat_and_power_alone(reasons: int, expected: bool) -> None:
    assert throttled(reasons) is expected


@pytest.mark.parametrize(
    ("says", "asks"),
    [
        ("cuda: Optional[str] = None\nhip: Optional[str] = None\n", False),
        ("cuda = None\nhip = None\n", False),
        ("cuda = '12.8'\nhip = None\n", has_driver()),
        ("cuda = None\nhip = '6.4'\n", True),
        ("__version__ = '1'\n", True),
        ("not Python", True),
        (None, True),
    ],
)
def test_torch_is_asked_for_gpus_unless_its_version_rules_them_out(
    says: str | None, asks: bool, tmp_path: Path
) -> None:
    torch = tmp_path / "torch"
    torch.mkdir()
    (torch / "__init__.py").write_text("raise RuntimeError('it was asked')")
    if says is not None:
        (torch / "version.py").write_text(says)
    asking = "from bench.machine import gpu\nprint(gpu.names())"
    variables = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run([sys.executable, "-c", asking], env=variables, capture_output=True, text=True, check=False)
    assert ("it was asked" in done.stderr, done.stdout) == ((True, "") if asks else (False, "()\n"))


def test_a_cpu_has_no_gpu_readings() -> None:
    assert readings("cpu") == {}


def test_without_pynvml_there_are_no_gpu_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert readings("cuda:0") == {}


@pytest.mark.gpu
@needs_cuda
def test_a_gpu_reports_its_clock_and_whether_it_is_throttled() -> None:
    pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed: the extra gpu")
    found = readings("cuda")
    assert found["gpu_clock_mhz"] > 0
    assert found["gpu_throttled"] in (0.0, 1.0)


@pytest.mark.gpu
@needs_cuda
def test_the_peak_on_a_gpu_is_that_of_the_allocator() -> None:
    """Of three tensors of 4 MiB, two are live at once."""

    def allocate() -> None:
        first = torch.ones(2**20, device="cuda")
        second = first + 1
        del first
        second + 1

    assert peak_bytes(allocate, "cuda") == 2 * 2**22


@pytest.mark.gpu
@needs_cuda
def test_a_cuda_cell_is_measured_in_every_kind_by_spawned_workers(store) -> None:
    cell = Cell(
        problem="spiral", backend="node", solver="dopri5", horizon=0.5, n_outputs=2, rtol=1e-3, atol=1e-5,
        gradient="adjoint", device="cuda",
    )  # fmt: skip
    measure = Measure(processes=1, max_processes=1, rounds=2, timeout_s=120.0)
    assert run(store, sweep_of(cell, measure=measure))
    trials = store.trials()
    kinds = ["counts", "accuracy", "memory", "timing", "twin"]
    assert dict(zip(trials["kind"], trials["status"], strict=True)) == dict.fromkeys(kinds, "ok")
    metrics = store.metrics().set_index(["kind", "name"])["value"]
    assert metrics["memory", "peak_bytes"] > 0
    assert len(store.samples()) == 2 * 2 * 2  # of the cell and its twin: two clocks, two rounds
