"""One file for every table of the papers.

Beside them: ``table`` runs a table and judges it, ``runs`` trains what is missing, ``render``
writes it down, ``selar_rows``, ``meta_graph_rows``, ``same_rows``, ``hgcvae_rows`` and
``autolinc_rows`` hold what the tables of a system share.
"""

__all__ = ["TABLES"]

TABLES = (
    *(f"selar-table{number}" for number in range(2, 8)),
    "meta-graph-table2",
    "meta-graph-table3",
    "same-table1",
    "same-table2",
    "same-figure3",
    "hgcvae-main",
    "hgcvae-ablation",
    *(f"autolinc-table{number}" for number in (2, 3, 9, 10)),
)
"""What ``dglmeta reproduce`` can reproduce; ``selar-table2`` is in ``selar_table2.py``."""
