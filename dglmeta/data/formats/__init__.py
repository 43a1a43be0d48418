"""Readers of public formats, one file a format, and what they read files with."""

from dglmeta.data.formats.gtn import GtnLayout, read_gtn, read_gtn_acm, read_gtn_imdb
from dglmeta.data.formats.heco import HecoLayout, read_heco
from dglmeta.data.formats.npz import read_amazon_computers, read_amazon_photo, read_npz_graph
from dglmeta.data.formats.ohmnet import read_ohmnet
from dglmeta.data.formats.planetoid import read_planetoid
from dglmeta.data.formats.ppi import read_ppi
from dglmeta.data.formats.ratings import read_kgat, read_lastfm, read_ripple
from dglmeta.data.formats.tu import read_tu

__all__ = [
    "GtnLayout",
    "HecoLayout",
    "read_amazon_computers",
    "read_amazon_photo",
    "read_gtn",
    "read_gtn_acm",
    "read_gtn_imdb",
    "read_heco",
    "read_kgat",
    "read_lastfm",
    "read_npz_graph",
    "read_ohmnet",
    "read_planetoid",
    "read_ppi",
    "read_ripple",
    "read_tu",
]
