"""A picture of embeddings in the plane."""

import numpy as np
import pytest

import dglmeta as dm
from dglmeta.cli import main
from dglmeta.errors import DataError
from dglmeta.report import embedding_picture
from dglmeta.report.draw import scatter_picture
from dglmeta.report.embedding_picture import write_picture

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def papers():
    return dm.load_dataset("toy-papers")


def embedded(papers):
    return {
        "paper": np.eye(3, dtype=np.float32)[papers.labels]
        + papers.csr.node_data["paper"]["feat"][:, :3]
    }


def test_labelled_nodes_are_drawn_in_the_colours_of_their_classes(papers, tmp_path, monkeypatch):
    seen = []
    draw = lambda *args: seen.append(args) or scatter_picture(*args)  # noqa: E731
    monkeypatch.setattr(embedding_picture, "scatter_picture", draw)
    write_picture(tmp_path / "papers.png", papers, embedded(papers))
    assert (tmp_path / "papers.png").read_bytes().startswith(PNG)
    ((name, title, points, label),) = seen
    assert (name, title) == ("papers", "toy-papers: paper by class")
    assert points.shape == (90, 2)
    np.testing.assert_array_equal(label, papers.labels)


def test_many_nodes_are_thinned_out(papers, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(embedding_picture, "MOST", 20)
    draw = lambda *args: seen.append(args) or scatter_picture(*args)  # noqa: E731
    monkeypatch.setattr(embedding_picture, "scatter_picture", draw)
    write_picture(tmp_path / "some.png", papers, embedded(papers))
    assert seen[0][2].shape == (20, 2)


def test_a_picture_says_in_words_what_it_shows():
    points, label = np.arange(8.0).reshape(4, 2), np.array([0, 1, 1, 0])
    assert scatter_picture("p", "Some", points, label).alt == "Some: 4 points of 2 classes."


def test_what_cannot_be_drawn_is_refused(papers, tmp_path):
    with pytest.raises(DataError, match="expected a data set with labelled nodes, got toy"):
        write_picture(tmp_path / "a.png", dm.load_dataset("toy"), {})
    with pytest.raises(DataError, match="expected embeddings of 'paper', got author"):
        write_picture(tmp_path / "a.png", papers, {"author": np.zeros((45, 2), np.float32)})
    with pytest.raises(DataError, match="expected to write"):
        write_picture(tmp_path / "none" / "a.png", papers, embedded(papers))


def test_the_command_line_writes_embeddings_and_their_picture(tmp_path, capsys):
    run = str(tmp_path / "run")
    small = ["--d", "8", "--n-heads", "2", "--epochs", "2", "--edges", "50", "--probe-repeats", "2"]
    assert main(["train", "hgcvae", "--data", "toy-papers", "--out", run, *small]) == 0
    files = [str(tmp_path / name) for name in ("z.npz", "z.png")]
    assert main(["embed", run, "--out", files[0], "--picture", files[1]]) == 0
    assert "paper 90 x 8" in capsys.readouterr().out
    assert (tmp_path / "z.png").read_bytes().startswith(PNG)
    with np.load(files[0]) as arrays:
        assert arrays["paper"].shape == (90, 8)
