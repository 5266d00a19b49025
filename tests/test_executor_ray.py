"""The same jobs on Ray: a cluster of its own, one of two nodes that is there, CUDA devices it hands out.

Ray is an extra with an environment of its own: ``pip install irtbench[ray]``, then
``pytest -m peer tests/test_executor_ray.py``.
"""

import os
import time
import warnings
from contextlib import closing

import pytest

import irtbench as ib
from irtbench.executor import run_jobs

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::FutureWarning:ray", "ignore::DeprecationWarning", "ignore::ResourceWarning"
    ),
]


def work():
    def square(job, device=None):
        import ray
        import torch

        warnings.warn("rough", ib.DataWarning, stacklevel=1)
        if job == "odd":
            raise ib.InputError("give an even number")
        if job == "zero":
            raise ZeroDivisionError("none left")
        time.sleep(0.2)
        node = ray.get_runtime_context().get_node_id() if ray.is_initialized() else None
        return job**2, device, torch.get_num_threads(), node, os.environ.get("CUDA_VISIBLE_DEVICES")

    return square


@pytest.fixture
def two_nodes():
    """A cluster of two nodes with one core each, as if on two machines."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


def test_a_local_cluster_is_started_and_stopped():
    assert not ray.is_initialized()
    with pytest.warns(ib.DataWarning, match="rough") as caught:
        found = sorted(run_jobs(work(), list(range(5)), executor="ray", workers=2, device="auto"))
    assert [(k, result[0]) for k, result in found] == [(k, k**2) for k in range(5)]
    assert {result[1:3] for _, result in found} == {("cpu", 1)}
    assert sum("rough" in str(w.message) for w in caught) == 1
    assert not ray.is_initialized()


@pytest.mark.filterwarnings("ignore:rough")
def test_errors_come_home_with_the_job():
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        with pytest.raises(ib.InputError, match=r"^number odd: give an even number$"):
            list(run_jobs(work(), [2, "odd"], executor="ray", describe="number {}".format))
        with pytest.raises(ZeroDivisionError, match="none left") as caught:
            list(run_jobs(work(), [2, "zero"], executor="ray", describe="number {}".format))
        assert "in job number zero" in caught.value.__notes__
        assert ray.is_initialized()  # it was here before
    finally:
        ray.shutdown()


@pytest.mark.filterwarnings("ignore:rough")
def test_ray_hands_out_its_devices():
    # Ray counts devices as it is told; nothing touches them
    ray.init(address="local", num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False)
    try:
        found = [result for _, result in run_jobs(work(), list(range(6)), executor="ray", device="auto")]
        assert {result[1] for result in found} == {"cuda"}
        assert {result[4] for result in found} == {"0", "1"}
        found = [result for _, result in run_jobs(work(), [1, 2], executor="ray", device="cpu")]
        assert {result[1] for result in found} == {"cpu"}
    finally:
        ray.shutdown()


@pytest.mark.filterwarnings("ignore:rough")
def test_cuda_that_the_cluster_lacks():
    with pytest.raises(ib.InputError, match="has none"):
        list(run_jobs(work(), [1], executor="ray", workers=1, device="cuda"))
    assert not ray.is_initialized()


@pytest.mark.filterwarnings("ignore:rough")
def test_both_nodes_of_a_cluster_work(two_nodes, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", two_nodes.address)
    found = sorted(run_jobs(work(), list(range(10)), executor="ray"))
    assert [result[0] for _, result in found] == [k**2 for k in range(10)]
    assert len({result[3] for _, result in found}) == 2
    assert not ray.is_initialized()
    # the cluster goes on for the next one
    assert len(list(run_jobs(work(), [1, 2], executor="ray"))) == 2


@pytest.mark.filterwarnings("ignore:rough")
def test_closing_ends_the_tasks(two_nodes, monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_ADDRESS", two_nodes.address)

    def slow(job):
        time.sleep(3 * (job > 0))
        (tmp_path / str(job)).touch()

    with closing(run_jobs(slow, range(3), executor="ray")) as results:
        next(results)
    time.sleep(4)
    assert [file.name for file in tmp_path.iterdir()] == ["0"]


def test_comparison_is_the_same_on_ray():
    R = ib.simulate(n_models=40, n_items=60, seed=0).responses
    arguments = {"sizes": [10], "methods": ["random + p-irt"], "n_splits": 2, "n_jobs": 2}
    one, other = (ib.compare(R, executor=name, **arguments) for name in ("serial", "ray"))
    assert one.equals(other)
