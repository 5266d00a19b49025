"""Jobs in processes and one by one: same results, own devices, errors and warnings that come home."""

import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import closing

import pytest
import torch

import irtbench as ib
from irtbench import devices, executor
from irtbench.executor import run_jobs


def described(job, device=None):
    """What a job sees of its worker."""
    warnings.warn("rough", ib.DataWarning, stacklevel=1)
    warnings.warn(f"parity {job % 2}", UserWarning, stacklevel=1)
    # a sum whose last bits depend on the number of threads, and the work that leaves others their turn
    total = float(torch.linspace(0, job, 400_000).sin().sum())
    time.sleep(0.05)
    return {
        "job": job,
        "total": total,
        "device": device,
        "pid": os.getpid(),
        "threads": torch.get_num_threads(),
    }


def failing():
    """A function of its own: pickled by value, so that a worker need not import this module and torch."""

    class Stubborn(Exception):
        """Cannot be unpickled: it takes two arguments and remembers one."""

        def __init__(self, a, b):
            super().__init__(f"{a} and {b}")

    def fail(job):
        if job == "refused":
            raise ib.InputError("odd; give an even number")
        raise Stubborn("salt", "pepper") if job == "stubborn" else ZeroDivisionError("none left")

    return fail


def gone(pid):
    """Whether the process ended (a zombie that nobody waited for has ended too)."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def soon(condition, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until and not condition():
        time.sleep(0.05)
    return condition()


@pytest.fixture
def two_threads(monkeypatch):
    """Two threads here and for processes that inherit, so that one is the executor's doing."""
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_processes_do_what_one_process_does(two_threads):
    jobs = list(range(7))
    found = {}
    for name in ("serial", "processes"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found[name] = sorted(run_jobs(described, jobs, executor=name, workers=2, device="cpu"))
        # once each, whichever of the seven jobs says so
        assert sorted(str(w.message) for w in caught) == ["parity 0", "parity 1", "rough"]
        assert {w.category for w in caught} == {ib.DataWarning, UserWarning}
        assert {os.path.basename(w.filename) for w in caught} == {os.path.basename(__file__)}
    for k in jobs:
        (i, one), (j, other) = found["serial"][k], found["processes"][k]
        assert i == j == one["job"] == other["job"] == k
        assert one["total"] == other["total"]
        assert one["threads"] == other["threads"] == 1
    assert {r["pid"] for _, r in found["serial"]} == {os.getpid()}
    assert len({r["pid"] for _, r in found["processes"]} - {os.getpid()}) == 2
    assert torch.get_num_threads() == 2


def test_every_worker_keeps_its_own_device():
    seen = run_jobs(
        lambda job, device: (os.getpid(), device), range(8), workers=2, device=["cuda:0", "cuda:1"]
    )
    pairs = {result for _, result in seen}
    assert {device for _, device in pairs} == {"cuda:0", "cuda:1"}
    assert len({pid for pid, _ in pairs}) == len(pairs) == 2


def test_devices_are_shared_out_in_turn(monkeypatch):
    monkeypatch.setattr(executor, "cuda_devices", lambda: ["cuda:0", "cuda:1", "cuda:2"])
    monkeypatch.setattr("joblib.cpu_count", lambda: 16)
    for name in ("auto", "cuda"):
        shared = executor._devices(name)
        assert executor._slots(None, shared) == ["cuda:0", "cuda:1", "cuda:2"]
        assert executor._slots(5, shared) == ["cuda:0", "cuda:1", "cuda:2", "cuda:0", "cuda:1"]
        assert executor._slots(2, shared) == ["cuda:0", "cuda:1"]
    assert executor._slots(None, executor._devices("cuda:2")) == ["cuda:2"]
    assert executor._slots(None, executor._devices("cpu")) == ["cpu"] * 16
    assert executor._slots(3, executor._devices(None)) == [None] * 3


def test_without_cuda_auto_is_the_cpu(monkeypatch):
    for module in (executor, devices):
        monkeypatch.setattr(module, "cuda_devices", list)
    assert executor._devices("auto") == ["cpu"]
    with pytest.raises(ib.InputError, match="no CUDA device"):
        run_jobs(described, [1], device="cuda")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no core affinity on this system")
def test_default_is_one_worker_a_core_that_may_be_used():
    before = os.sched_getaffinity(0)
    assert 1 <= len(executor._slots(None, [None])) <= len(before)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert executor._slots(None, [None]) == [None]
        assert {pid for _, pid in run_jobs(lambda job: os.getpid(), range(3))} == {os.getpid()}
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize("name", ["serial", "processes"])
def test_a_refusal_keeps_its_kind_and_names_the_job(name):
    with pytest.raises(ib.InputError, match=r"^the refused one: odd; give an even number$"):
        list(run_jobs(failing(), ["refused"] * 2, executor=name, workers=2, describe="the {} one".format))


@pytest.mark.parametrize("name", ["serial", "processes"])
def test_an_error_keeps_its_kind_and_notes_the_job(name):
    with pytest.raises(ZeroDivisionError, match="none left") as caught:
        list(run_jobs(failing(), ["plain"] * 2, executor=name, workers=2, describe="the {} one".format))
    assert caught.value.__notes__[-1] == "in job the plain one"
    where = caught.value.__notes__[0] if name == "processes" else str(caught.traceback[-1].path)
    assert "test_executor.py" in where


def test_an_error_that_cannot_travel_is_told_in_words():
    with pytest.raises(RuntimeError, match=r"^Stubborn: salt and pepper\n"):
        list(run_jobs(failing(), ["stubborn"] * 2, workers=2))


def test_a_worker_that_dies_is_an_error():
    with pytest.raises(Exception, match="terminated") as caught:
        list(run_jobs(lambda job: os.kill(os.getpid(), signal.SIGKILL), [0, 1], workers=2))
    assert "use fewer workers" in caught.value.__notes__[0]
    assert caught.value.__notes__[-1] in ("in job 0", "in job 1")


def test_closing_ends_the_workers(tmp_path):
    def work(job):
        (tmp_path / str(os.getpid())).touch()
        time.sleep(60 * (job > 0))
        return job

    with closing(run_jobs(work, range(3), workers=2)) as results:
        assert next(results) == (0, 0)
        assert soon(lambda: len(list(tmp_path.iterdir())) == 2)
    assert soon(lambda: all(gone(file.name) for file in tmp_path.iterdir()))


def test_an_error_ends_the_workers(tmp_path):
    def work(job):
        (tmp_path / str(os.getpid())).touch()
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.05)
        time.sleep(60 * job)
        raise ValueError("the first job")

    with pytest.raises(ValueError, match="the first") as kept:
        list(run_jobs(work, [0, 1], workers=2))
    assert soon(lambda: all(gone(file.name) for file in tmp_path.iterdir()))
    assert kept.value.__traceback__ is not None  # which keeps the frames of the generator


def test_interrupt_ends_the_workers(tmp_path):
    code = (
        "import os, pathlib, signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "from irtbench.executor import run_jobs\n"
        "def work(job):\n"
        f"    (pathlib.Path({str(tmp_path)!r}) / str(os.getpid())).touch()\n"
        "    time.sleep(60)\n"
        "list(run_jobs(work, range(4), workers=2))\n"  # also: no guard of __main__ is needed
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    try:
        assert soon(lambda: len(list(tmp_path.iterdir())) == 2)
        parent.send_signal(signal.SIGINT)
        _, said = parent.communicate(timeout=20)
    finally:
        parent.kill()
    assert "KeyboardInterrupt" in said
    assert "Exception in thread" not in said
    assert parent.returncode != 0
    assert soon(lambda: all(gone(file.name) for file in tmp_path.iterdir()))


def test_serial_work_is_taken_before_the_next_begins():
    began = []
    results = run_jobs(began.append, [1, 2, 3], executor="serial")
    next(results)
    assert began == [1]


def test_no_jobs_no_results():
    assert list(run_jobs(described, [])) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"executor": "threads"}, "processes, ray, serial"),
        ({"workers": 0}, "at least 1"),
        ({"device": []}, "no devices"),
        ({"executor": "ray", "device": "cuda:1"}, "hands devices out"),
        ({"executor": "ray", "device": ["cpu"]}, "hands devices out"),
    ],
)
def test_bad_arguments_are_refused_at_once(arguments, message):
    with pytest.raises(ib.InputError, match=message):
        run_jobs(described, [1], **arguments)


def test_ray_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ib.InputError, match=r"irtbench\[ray\]"):
        list(run_jobs(described, [1], executor="ray"))
