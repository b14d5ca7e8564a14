"""The noise floor of a machine, its causes, and the printed advice."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from bench.machine import cgroup, state
from bench.machine.environment import volatile
from bench.machine.findings import findings
from bench.machine.state import Busy, Facts, Snapshot, facts
from bench.run.noise import Noise, described, measured, processes_for
from results.statistics.ratio import Ratio

QUIET = Facts(
    cores_present=8,
    cores_allowed=8,
    pinned=(7,),
    load=1.0,
    governor="performance",
    boost=False,
    hyperthreads=False,
    temperature=50.0,
)
TWIN = Ratio(1.0, 1 / 1.03, 1.03, pairs=48, freedom=2.0)
NOISE = Noise(TWIN, (0.99, 1.01, 1.02), (0.8, 1.0, 1.1), process_s=0.5, facts=QUIET)


def test_a_quiet_machine_has_no_finding() -> None:
    assert findings(QUIET) == []
    assert "nothing that disturbs" in described(NOISE)


def test_facts_that_are_unknown_are_no_finding() -> None:
    assert findings(Facts(cores_present=2, cores_allowed=2, pinned=(1,))) == []


@pytest.mark.parametrize(
    ("changed", "what", "helps"),
    [
        ({"busy": (Busy("firefox", 77, 0.5),)}, "firefox (process 77, 50%)", "Stop them"),
        ({"load": 3.5}, "load is 3.5, and what is seen from here explains 1.0", "other containers"),
        ({"steal": 0.02}, "2.0% of its CPU time", "cores of its own"),
        ({"quota": 1.5}, "quota allows 1.5 cores.", "--cpuset-cpus"),
        ({"quota": 1.5, "throttled": 0.25}, "in 25% of its periods", "--cpuset-cpus"),
        ({"cores_allowed": 1}, "one core to run on, of 8", "Allow a second one"),
        ({"cores_allowed": 2}, "2 cores to run on, of 8", "nobody else"),
        ({"pinned": ()}, "cannot be pinned", "Linux"),
        ({"hyperthreads": True}, "hyperthreads", "smt/control"),
        ({"governor": "powersave"}, "governor is powersave", "--governor performance"),
        ({"boost": True}, "boost is on", "no_turbo"),
        ({"temperature": 93.0}, "93 degrees", "cool down"),
        ({"on_battery": True}, "battery", "Plug it in"),
        ({"virtual": "QEMU"}, "virtual machine (QEMU)", "bare metal"),
    ],
)
def test_each_disturbance_is_one_finding_with_what_helps(changed, what, helps) -> None:
    [finding] = findings(replace(QUIET, **changed))
    assert what in finding.what
    assert helps in finding.help
    text = " ".join(described(replace(NOISE, facts=replace(QUIET, **changed))).split())
    assert finding.what in text
    assert finding.help in text


def test_load_that_other_processes_explain_is_one_finding() -> None:
    busy = (Busy("a", 1, 1.0), Busy("b", 2, 1.0))
    assert len(findings(replace(QUIET, load=3.1, busy=busy))) == 1


def test_of_many_processes_the_busiest_are_named() -> None:
    busy = tuple(Busy(f"p{i}", i, 0.1) for i in range(9))
    [finding] = findings(replace(QUIET, busy=busy))
    assert "used 90% of a core" in finding.what
    assert "p4" in finding.what
    assert "p5" not in finding.what
    assert "and 4 more" in finding.what


def test_the_measured_precision_needs_as_many_processes_as_were_measured() -> None:
    assert processes_for(TWIN, 0.03) == 3


@pytest.mark.parametrize(
    ("freedom", "target", "least", "most"), [(1, 0.03, 2, 2), (2, 0.01, 8, 8), (10, 0.1, 4, 4), (10, 0.01, 77, 82)]
)
def test_the_number_of_processes_needed_is_enough_and_hardly_more(freedom, target, least, most) -> None:
    """Counted by hand with the published 97.5 % quantiles of Student's t: 12.706, 4.303, 3.182, 2.447, 2.365, 1.99."""
    assert least <= processes_for(replace(TWIN, freedom=freedom), target) <= most


def test_the_printed_text_says_floor_needed_samples_and_contrast() -> None:
    lines = described(NOISE).splitlines()
    assert max(map(len, lines)) <= 110
    assert lines[0] == "noise floor: 3.0%"
    text = " ".join(" ".join(lines).split())
    assert "1.000 times as long as itself, 95 % interval 0.971 to 1.030, by 3 pairs of processes" in text
    assert "within 3%: 48 samples of each cell (3 processes of 16 rounds), 2 s" in text
    assert "2.0% when timed in alternation, 1.0% typically" in text
    assert "25.0% when timed one after the other, 10.0% typically" in text


@pytest.mark.exhaustive
def test_a_measured_floor_comes_from_pairs_in_the_same_rounds() -> None:
    noise = measured(0.0)
    assert len(noise.wave_ratios) == len(noise.sequential_ratios) == 3
    assert noise.twin.pairs == 3 * 16
    assert noise.twin.freedom == 2
    assert noise.twin.low <= noise.twin.value <= noise.twin.high
    assert described(noise)


def test_the_load_of_other_processes_is_the_difference_of_two_snapshots() -> None:
    me = os.getpid()
    before = Snapshot(100.0, 1.0, 10, 2, {me: ("me", 0.0), 2: ("b", 5.0), 3: ("idle", 1.0), 4: ("old", 9.0)})
    after = Snapshot(
        120.0, 2.0, 20, 7, {me: ("me", 9.0), 2: ("b", 7.5), 3: ("idle", 1.0), 4: ("new", 1.0), 5: ("x", 8.0)}
    )
    seen = facts(before, after, (0,))
    assert [(one.name, one.pid) for one in seen.busy] == [("b", 2)]
    assert seen.busy[0].cores == pytest.approx(2.5 / (20.0 / seen.cores_present))
    assert seen.steal == pytest.approx(0.05)
    assert seen.throttled == pytest.approx(0.5)


def test_a_process_that_uses_the_cpu_is_seen() -> None:
    spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
    try:
        before = state.snapshot()
        time.sleep(0.5)
        after = state.snapshot()
    finally:
        spinning.kill()
        spinning.wait()
    assert after.processes[spinning.pid][1] > before.processes[spinning.pid][1]
    assert after.cpu_s > before.cpu_s


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 0.5),
        ({}, None),
    ],
)
def test_a_quota_is_read_from_either_version_of_control_groups(monkeypatch, tmp_path, files, quota) -> None:
    for name, text in {"membership": "4:cpu:/\n0::/", **files}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    read = cgroup.read
    place = {"root": tmp_path, "membership": tmp_path / "membership"}
    monkeypatch.setattr(cgroup, "read", lambda *names: read(*names, **place))
    assert state.quota() == quota


def test_governor_and_boost_are_read_where_the_kernel_has_them(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(state, "_CPU", tmp_path)
    assert (state.governor(3), state.boost()) == ("", None)
    for name, text in {"cpu3/cpufreq/scaling_governor": "powersave\n", "cpufreq/boost": "1\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert (state.governor(3), state.boost()) == ("powersave", True)
    (tmp_path / "intel_pstate").mkdir()
    (tmp_path / "intel_pstate/no_turbo").write_text("1\n")
    assert state.boost() is False


def test_a_virtual_machine_is_named_as_its_firmware_names_it(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(state, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(state, "_PRODUCT", tmp_path)
    assert state.virtual() == ""
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu hypervisor lahf_lm\n")
    assert state.virtual() == "unnamed"
    (tmp_path / "sys_vendor").write_text("QEMU\n")
    (tmp_path / "product_name").write_text("Standard PC\n")
    assert state.virtual() == "QEMU Standard PC"


def test_a_run_keeps_the_volatile_facts_that_are_known_and_no_others(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(state, "_CPU", tmp_path)
    assert {"host", "kernel", "load"} <= set(volatile())
    assert not {"governor", "boost"} & set(volatile())
    (tmp_path / "cpufreq").mkdir()
    (tmp_path / "cpufreq/boost").write_text("0")
    assert volatile()["boost"] == "off"
