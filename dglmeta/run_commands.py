"""What each command does that begins from a training run's folder; see :mod:`dglmeta.commands`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

import dglmeta
from dglmeta.commands import dataset_of, print_metrics
from dglmeta.errors import ConfigError
from dglmeta.system_names import class_of_run

__all__ = ["adapt", "embed", "evaluate"]


def evaluate(arguments: argparse.Namespace) -> int:
    """Metrics of a finished run, computed afresh."""
    run, _ = _load_run(arguments)
    metrics = run.evaluate(arguments.split)
    if arguments.json:
        print(json.dumps(metrics))
    else:
        print_metrics(metrics)
    return 0


def embed(arguments: argparse.Namespace) -> int:
    """Node embeddings of a finished run, to a file; and a picture of those with classes."""
    from dglmeta.report.embedding_picture import write_picture
    from dglmeta.report.export import check_embeddings_path, write_embeddings

    check_embeddings_path(arguments.out)
    run, ds = _load_run(arguments)
    embeddings = run.embed()
    write_embeddings(arguments.out, embeddings, _ids(ds))
    if arguments.picture is not None:
        write_picture(arguments.picture, ds, embeddings)
        print(f"wrote {arguments.picture}")
    shapes = ", ".join(f"{name} {z.shape[0]} x {z.shape[1]}" for name, z in embeddings.items())
    print(f"wrote {arguments.out}: {shapes}")
    return 0


def adapt(arguments: argparse.Namespace) -> int:
    """The links that a new graph lacks, as a trained run of Meta-Graph sees it, to a file."""
    from dglmeta.report.export import check_links_path, write_links
    from dglmeta.systems.parts.meta_graph.links import (
        Learned,
        candidate_links,
        new_graph,
        usual_steps,
    )
    from dglmeta.train import RunFolder

    check_links_path(arguments.out)
    run = RunFolder(arguments.folder, write=False)
    begun = run.read_config()
    if begun["system"] != "meta-graph":
        raise ConfigError(
            f"adapt: expected a run of meta-graph, got one of {begun['system']} in {run.path}. "
            f"Give another."
        )
    learned = Learned.read(_begun_config(begun, class_of_run("meta-graph", None)), run)
    steps = usual_steps(run) if arguments.steps is None else arguments.steps
    ds = dglmeta.load_dataset(arguments.data, root=arguments.data_dir)
    graph = new_graph(ds, arguments.graph)
    links = candidate_links(learned, graph, steps=steps, top=arguments.top or graph.usual_top)
    write_links(arguments.out, links.src, links.dst, links.logit, graph.ids)
    print(f"{graph.name}: {steps} steps, then the best {len(links.src):,} pairs without an edge")
    print(f"wrote {arguments.out}")
    return 0


def _ids(ds: Any) -> dict[str, Any]:
    """What the nodes of a single graph are called in the user's tables, where they are."""
    data = ds.csr.node_data if isinstance(ds, dglmeta.data.Dataset) else {}
    return {node_type: columns["id"] for node_type, columns in data.items() if "id" in columns}


def _load_run(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """The result of a finished run, with its best state, and what it was trained on."""
    from dglmeta.systems.checks import check_device
    from dglmeta.train import RunFolder

    check_device(arguments.device)
    run = RunFolder(arguments.folder, write=False)
    begun = run.read_config()
    system = class_of_run(begun["system"], arguments.system)
    ds = dataset_of(begun["data"], arguments, many_graphs=system.many_graphs)
    config = _begun_config(begun, system)
    return system(config).load(ds, run, device=arguments.device), ds


def _begun_config(begun: Mapping[str, Any], system: type[Any]) -> Any:
    """The settings a run was begun with."""
    from dglmeta.train import config_from_dict

    return config_from_dict(system.Config, begun["config"])
