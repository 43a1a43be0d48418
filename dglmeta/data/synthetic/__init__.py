"""Data made up on the spot: tiny and fixed, or of any size with something planted in it."""

from dglmeta.data.synthetic.citations import toy_citations
from dglmeta.data.synthetic.graphs import toy_graphs
from dglmeta.data.synthetic.heterographs import planted, toy
from dglmeta.data.synthetic.papers import toy_papers

__all__ = ["planted", "toy", "toy_citations", "toy_graphs", "toy_papers"]
