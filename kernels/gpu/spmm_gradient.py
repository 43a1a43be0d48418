"""Both gradients of a weighted sum of neighbours."""

from __future__ import annotations

from typing import Any

from dglmeta.kernels.gpu.sddmm import sddmm
from dglmeta.kernels.gpu.spmm import spmm

__all__ = ["spmm_gradient"]


def spmm_gradient(
    by_row: tuple[Any, Any, Any | None],
    by_column: tuple[Any, Any, Any | None],
    weight: Any,
    x: Any,
    grad: Any,
) -> tuple[Any, Any]:
    """Gradients of ``spmm``: ``dw[e,h] = <g[i,h], x[j,h]>`` and ``dx[j,h] = sum_e w[e,h] g[i,h]``.

    As :func:`dglmeta.kernels.cpu.spmm_gradient.spmm_gradient`, up to the order of additions, which
    is fixed: ``sddmm`` by row, then ``spmm`` by column. Bytes: the results, and what spmm takes.
    """
    return sddmm(*by_row, grad, x), spmm(*by_column, weight, grad)
