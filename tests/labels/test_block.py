"""A block's labels are right, uniform, and the same bytes whoever makes them."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from scipy.stats import chisquare

from dglmeta.labels.block import (
    ROW_GROUP,
    Task,
    all_pairs,
    draw_labels,
    encode,
    make_part,
    part_file,
    write_whole,
)
from dglmeta.labels.plan import Block, Request
from dglmeta.labels.steps import save_steps

PATHS = ("user-item-user", "user-item-tag-item", "user-item-user-item-user")


def request(hg, paths=PATHS, positives=None, ratio=1.0):
    return Request.read(hg, paths, positives, ratio, 7, 1 << 17)


def drawn(hg, k, n_positives, n_negatives, number=0):
    asked = request(hg, positives=1)
    block = Block(k, number, None, n_positives, n_negatives)
    return draw_labels(hg, asked.metapaths[k], asked, block)


@pytest.mark.parametrize("k", range(3))
def test_labels_and_counts_are_those_of_the_product(hg, instances, k):
    counts = instances(hg, request(hg).metapaths[k])
    labels = drawn(hg, k, 500, 700)
    np.testing.assert_array_equal(labels.count, counts[labels.src, labels.dst])
    np.testing.assert_array_equal(labels.label, labels.count > 0)
    assert (labels.label.sum(), len(labels.label)) == (500, 1200)


@pytest.mark.parametrize("k", range(3))
def test_positives_and_negatives_of_several_blocks_are_uniform(hg, instances, k):
    counts = instances(hg, request(hg).metapaths[k])
    tally = np.zeros(counts.shape, np.int64)
    for number in range(4):
        labels = drawn(hg, k, 8_000, 8_000, number)
        np.add.at(tally, (labels.src, labels.dst), 1)
    assert chisquare(tally[counts > 0]).pvalue > 1e-3
    assert chisquare(tally[counts == 0]).pvalue > 1e-3


def test_blocks_are_drawn_independently(hg):
    first, second = (drawn(hg, 0, 1_000, 0, number) for number in (0, 1))
    pairs = [labels.src * 1000 + labels.dst for labels in (first, second)]
    same = np.mean(pairs[0] == pairs[1])
    assert same < 0.05


def test_all_positives_of_ranges_of_sources_are_every_pair_once(hg, labelled_cases, instances):
    @given(labelled_cases())
    def holds(case):
        graph, path = case
        counts = instances(graph, path)
        if counts.any():
            n, tally = len(counts), np.zeros_like(counts)
            for sources in (np.arange(n // 2), np.arange(n // 2, n)):
                src, dst, count = all_pairs(graph, path, sources)
                np.testing.assert_array_equal(count, counts[src, dst])
                np.add.at(tally, (src, dst), 1)
            np.testing.assert_array_equal(tally, counts > 0)

    holds()


def test_negatives_follow_the_positives_that_some_sources_have(hg, instances):
    asked = request(hg, ratio=1.5)
    labels = draw_labels(hg, asked.metapaths[0], asked, Block(0, 2, sources=(5, 9)))
    n_positives = np.count_nonzero(instances(hg, asked.metapaths[0])[5:9])
    assert labels.label.sum() == n_positives
    assert len(labels.label) == n_positives + round(1.5 * n_positives)


def test_every_row_group_is_a_fair_sample_of_its_part(hg):
    labels = drawn(hg, 0, 3 * ROW_GROUP, ROW_GROUP)
    file = pq.ParquetFile(io.BytesIO(encode(labels)))
    assert file.num_row_groups == 4
    for group in range(4):
        share = np.mean(file.read_row_group(group)["label"].to_numpy())
        assert abs(share - 0.75) < 0.03


def test_columns_are_narrow_where_ids_fit(hg):
    schema = pq.ParquetFile(io.BytesIO(encode(drawn(hg, 0, 5, 5)))).schema_arrow
    found = dict(zip(schema.names, map(str, schema.types), strict=True))
    assert found == {"src": "int32", "dst": "int32", "count": "int64", "label": "int8"}


@pytest.fixture
def task(hg, tmp_path):
    save_steps(hg, request(hg).metapaths, tmp_path / "steps")
    block = Block(0, 3, None, 200, 100)
    return Task(str(tmp_path), str(tmp_path / "steps"), request(hg, positives=1), block)


def test_a_part_is_what_was_noted_of_it_and_the_same_for_any_number_of_threads(
    task, tmp_path, threads
):
    parts = []
    for n_threads in (1, 2, 3):
        threads(n_threads)
        parts.append(make_part(task))
        data = part_file(tmp_path, 0, 3).read_bytes()
        assert parts[-1][:5] == (0, 3, 200, 100, len(data))
        assert parts[-1].sha256 == hashlib.sha256(data).hexdigest()
    assert len(set(parts)) == 1


@pytest.mark.parametrize(
    "block", [Block(0, 3, None, 200, 100), Block(1, 0, None, 50, 60), Block(2, 0, sources=(3, 9))]
)
def test_a_part_drawn_on_a_gpu_is_the_same_bytes(cuda, hg, tmp_path, block):
    save_steps(hg, request(hg).metapaths, tmp_path / "steps")
    asked = request(hg, positives=1)
    task = Task(str(tmp_path), str(tmp_path / "steps"), asked, block)
    assert make_part(task._replace(device="cuda")) == make_part(task)


def test_a_graph_saved_in_the_place_of_another_is_copied_to_the_gpu_anew(cuda, hg, other, tmp_path):
    for graph in (hg, other):
        save_steps(graph, request(graph).metapaths, tmp_path / "steps")
        asked = request(graph, positives=1)
        task = Task(str(tmp_path), str(tmp_path / "steps"), asked, Block(0, 0, None, 50, 50))
        assert make_part(task._replace(device="cuda")) == make_part(task)


def test_a_worker_loads_no_torch(task):
    code = f"""
import sys
from dglmeta.graph import MetaPath, Step
from dglmeta.labels.block import Task, make_part
from dglmeta.labels.plan import Block, Request
make_part({task!r})
print(sorted({{"torch", "dgl"}} & set(sys.modules)))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_failed_write_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch):
    place = tmp_path / "file"
    write_whole(place, b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("dglmeta.labels.block.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(place, b"new")
    assert place.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [place]
