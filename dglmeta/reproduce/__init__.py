"""One file for every table of the papers.

Beside them: ``table`` runs a table and judges it, ``runs`` trains what is missing, ``render``
writes it down, ``selar_rows`` holds what SELAR's tables share.
"""

__all__ = ["TABLES"]

TABLES = tuple(f"selar-table{number}" for number in range(2, 8))
"""What ``dglmeta reproduce`` can reproduce; ``selar-table2`` is in ``selar_table2.py``."""
