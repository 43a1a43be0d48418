"""Values and slopes of many elementwise loss expressions at once, each a program for a stack."""

from __future__ import annotations

from typing import Any

from dglmeta.kernels.gpu.device import array_module, blocks_for, launch

__all__ = ["evaluate_expressions"]

THREADS = 128
DUAL_BYTES = 8


def evaluate_expressions(
    programs: Any, constants: Any, u: Any, y: Any, counts: Any
) -> tuple[Any, Any]:
    """``f_b(u, y, n)`` and ``df_b/du``, element by element, of every program b.

    As :func:`dglmeta.kernels.cpu.expression.evaluate_expressions`, to the bit but for ``log``,
    ``exp`` and ``tanh``; at most 256 codes a program, all arrays float32 but for the programs.

    One launch, a block for 128 elements of a program. Parts without logits are computed for each
    element: to know which pairs of labels and counts there are, the host would have to wait. Bytes:
    the results; 4 L a thread in shared memory.
    """
    xp = array_module()
    n_programs, length = programs.shape
    shape, n_elements = (n_programs, *y.shape), int(y.size)
    value, derivative = xp.empty(shape, xp.float32), xp.empty(shape, xp.float32)
    launch(
        "expression", "evaluate", n_programs * blocks_for(n_elements, THREADS), THREADS,
        programs, constants, u, y, counts, length, n_elements, y.shape[1],
        n_elements if len(u) > 1 else 0, value, derivative,
        shared_bytes=length // 2 * THREADS * DUAL_BYTES, THREADS=THREADS,
    )  # fmt: skip
    return value, derivative
