"""A Dask cluster by its address, or one line that says what is missing."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from dglmeta.errors import ConfigError, LabelStoreError
from dglmeta.labels.cluster import connect


def test_without_dask_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install 'dglmeta\[dist\]'"), connect("tcp://x:1"):
        pass


@pytest.mark.dist
def test_a_scheduler_that_is_not_there_is_named():
    pytest.importorskip("distributed")
    with (
        pytest.raises(ConfigError, match="a Dask scheduler at tcp://127.0.0.1:1, got"),
        connect("tcp://127.0.0.1:1", timeout_s=0.5),
    ):
        pass


@pytest.mark.dist
def test_a_cluster_computes_and_a_task_that_kills_its_workers_is_an_error():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, processes=False, dashboard_address=None, silence_logs=50
    ) as cluster:
        with connect(cluster.scheduler_address) as executor:
            assert executor.submit(divmod, 7, 2).result() == (3, 1)
        with pytest.raises(LabelStoreError, match="expected workers to live"):  # noqa: SIM117
            with connect(cluster.scheduler_address):
                raise distributed.KilledWorker("task", SimpleNamespace(address="tcp://x:1"), 3)
