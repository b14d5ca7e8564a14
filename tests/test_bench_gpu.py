"""What a CUDA device tells of its clock."""

import sys

import pytest
import torch

from bench.machine.gpu import readings, throttled


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


def test_a_cpu_has_no_gpu_readings() -> None:
    assert readings("cpu") == {}


def test_without_its_library_a_gpu_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert readings("cuda:0") == {}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
def test_a_gpu_tells_its_clock_and_whether_it_is_throttled() -> None:
    pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed: the extra gpu")
    found = readings("cuda")
    assert found["gpu_clock_mhz"] > 0
    assert found["gpu_throttled"] in (0.0, 1.0)
