"""What every kernel must return, in plain NumPy and Python: obviously right, as slow as it likes.

The functions bear the names and take the arguments of those in ``cpu/`` and ``gpu/``, whose
docstrings say what the arguments are. Random ones draw the same numbers, so they agree exactly.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from dglmeta.kernels.cpu.chain import Chain
from dglmeta.kernels.cpu.expression import CODES, EPS
from dglmeta.kernels.cpu.negative import NEGATIVES, NUMBERS
from dglmeta.kernels.cpu.path_try import MOST_PATHS
from dglmeta.kernels.cpu.sample import NEIGHBOURS
from dglmeta.kernels.cpu.walk import WALKS

Array = npt.NDArray
WORD = 2**64


# Random numbers: Python integers modulo 2**64.


def mix(bits: int) -> int:
    """The finaliser of SplitMix64."""
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 % WORD
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB % WORD
    return bits ^ bits >> 31


def stream(seed: int, block: int, row: int) -> int:
    """Key of the stream of (seed, block, row)."""
    key = 0
    for part in (seed, block, row):
        key = mix(((key ^ part % WORD) + 0x9E3779B97F4A7C15) % WORD)
    return key


def random_uint64(key: int, draw: int) -> int:
    """Output number ``draw`` of SplitMix64 started at ``key``."""
    return mix((key + (draw + 1) * 0x9E3779B97F4A7C15) % WORD)


def random_below(bits: int, n: int) -> int:
    """The high word of the 128-bit product."""
    return bits * n // WORD


def random_unit(bits: int) -> float:
    """The upper 53 bits as a fraction."""
    return (bits >> 11) / 2**53


# Sums over edges.


def edges(indptr: Array, edge_ids: Array | None) -> tuple[Array, Array]:
    """Row and id of the edge at each position."""
    row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    return row, np.arange(len(row)) if edge_ids is None else edge_ids


def spmm(
    indptr: Array,
    indices: Array,
    edge_ids: Array | None,
    weight: Array | None,
    x: Array,
    row_scale: Array | None = None,
    col_scale: Array | None = None,
) -> Array:
    """Add every edge's message to its row."""
    row, ids = edges(indptr, edge_ids)
    if col_scale is not None:
        x = col_scale[:, None, None] * x
    messages = x[indices] if weight is None else weight[ids][:, :, None] * x[indices]
    y = np.zeros((len(indptr) - 1, *x.shape[1:]), x.dtype)
    np.add.at(y, row, messages)
    return y if row_scale is None else row_scale[:, None, None] * y


def sddmm(indptr: Array, indices: Array, edge_ids: Array | None, x: Array, z: Array) -> Array:
    """Multiply both ends of every edge and sum."""
    row, ids = edges(indptr, edge_ids)
    scores = np.empty((len(indices), x.shape[1]), x.dtype)
    scores[ids] = (x[row] * z[indices]).sum(axis=2)
    return scores


def spmm_gradient(
    by_row: tuple[Array, Array, Array | None],
    by_column: tuple[Array, Array, Array | None],
    weight: Array,
    x: Array,
    grad: Array,
) -> tuple[Array, Array]:
    """Gather both ends of every edge, multiply; scatter the messages back."""
    return sddmm(*by_row, grad, x), spmm(*by_column, weight, grad)


def segment_sum(indptr: Array, edge_ids: Array | None, values: Array) -> Array:
    """Add every edge's values to its row."""
    row, ids = edges(indptr, edge_ids)
    sums = np.zeros((len(indptr) - 1, values.shape[1]), values.dtype)
    np.add.at(sums, row, values[ids])
    return sums


def segment_max(indptr: Array, edge_ids: Array | None, values: Array) -> tuple[Array, Array]:
    """Row by row ``argmax``."""
    _, ids = edges(indptr, edge_ids)
    shape = (len(indptr) - 1, values.shape[1])
    largest, arg = np.zeros(shape, values.dtype), np.full(shape, -1)
    for i in np.flatnonzero(np.diff(indptr)):
        mine = ids[indptr[i] : indptr[i + 1]]
        arg[i] = mine[values[mine].argmax(axis=0)]
        largest[i] = np.take_along_axis(values, arg[i][None], axis=0)[0]
    return largest, arg


def edge_softmax(indptr: Array, edge_ids: Array | None, scores: Array) -> Array:
    """Row by row softmax."""
    _, ids = edges(indptr, edge_ids)
    alpha = np.empty_like(scores)
    for i in np.flatnonzero(np.diff(indptr)):
        mine = ids[indptr[i] : indptr[i + 1]]
        powers = np.exp(scores[mine] - scores[mine].max(axis=0))
        alpha[mine] = powers / powers.sum(axis=0)
    return alpha


def edge_softmax_gradient(
    indptr: Array, edge_ids: Array | None, alpha: Array, grad: Array
) -> Array:
    """Row by row the matrix ``diag(a) - a a'`` of each column, times the vector."""
    _, ids = edges(indptr, edge_ids)
    product = np.empty_like(grad)
    for i in np.flatnonzero(np.diff(indptr)):
        mine = ids[indptr[i] : indptr[i + 1]]
        for k in range(grad.shape[1]):
            a = alpha[mine, k]
            product[mine, k] = (np.diag(a) - np.outer(a, a)) @ grad[mine, k]
    return product


def attention(
    indptr: Array, indices: Array, row_score: Array, col_score: Array, x: Array, slope: float
) -> tuple[Array, Array, Array, Array]:
    """Score every edge, soften every row, add up messages; then those of positive arguments."""
    row, _ = edges(indptr, None)
    u = row_score[row] + col_score[indices]  # (n_edges, H)
    scores = np.where(u > 0, u, slope * u)
    weight = edge_softmax(indptr, None, scores)
    positive = np.where(u > 0, weight, 0)
    sums = np.zeros_like(row_score)
    np.add.at(sums, row, np.exp(scores))
    shares = np.zeros_like(row_score)
    np.add.at(shares, row, positive)
    log_sum = np.log(sums, where=sums > 0, out=np.zeros_like(sums))
    both = (spmm(indptr, indices, None, w, x) for w in (weight, positive))
    y, positive_y = both
    return y, log_sum, positive_y, shares


def block_attention(
    rows: tuple[Array, Array],
    columns: tuple[Array, Array],
    n_blocks: int,
    row_score: Array,
    col_score: Array,
    x: Array,
    slope: float,
) -> tuple[Array, Array, Array, Array]:
    """List every pair once for each block that it shares, and attend along the list."""
    counts = dense(*rows, None, n_blocks) @ dense(*columns, None, n_blocks).T
    row, col = (np.repeat(end, counts[counts > 0]) for end in np.nonzero(counts))
    indptr = np.append(0, np.bincount(row, minlength=len(row_score)).cumsum())
    return attention(indptr, col, row_score, col_score, x, slope)


def expand(indptr: Array, edge_ids: Array | None, x: Array) -> Array:
    """Repeat every row for its edges."""
    row, ids = edges(indptr, edge_ids)
    copies = np.empty((len(row), x.shape[1]), x.dtype)
    copies[ids] = x[row]
    return copies


# Products of sparse matrices.


def dense(indptr: Array, indices: Array, values: Array | None, n_cols: int) -> Array:
    """The matrix in full; parallel edges add up."""
    row, _ = edges(indptr, None)
    dtype = np.int64 if values is None else values.dtype
    matrix = np.zeros((len(indptr) - 1, n_cols), dtype)
    np.add.at(matrix, (row, indices), 1 if values is None else values)
    return matrix


def multiply_reach(
    a_indptr: Array, a_indices: Array, b_indptr: Array, b_indices: Array, n_cols: int
) -> tuple[Array, Array]:
    """Where the product of the numbers of edges is positive."""
    a = dense(a_indptr, a_indices, None, len(b_indptr) - 1)
    reached = a @ dense(b_indptr, b_indices, None, n_cols) > 0
    return np.append(0, reached.sum(axis=1).cumsum()), np.nonzero(reached)[1]


def multiply_values(
    a_indptr: Array,
    a_indices: Array,
    a_values: Array | None,
    b_indptr: Array,
    b_indices: Array,
    b_values: Array | None,
    n_cols: int,
) -> tuple[Array, Array, Array]:
    """The dense product, read where there is a path."""
    indptr, indices = multiply_reach(a_indptr, a_indices, b_indptr, b_indices, n_cols)
    a = dense(a_indptr, a_indices, a_values, len(b_indptr) - 1)
    product = a @ dense(b_indptr, b_indices, b_values, n_cols)
    return indptr, indices, product[edges(indptr, None)[0], indices]


def multiply_masked(
    a_indptr: Array,
    a_indices: Array,
    a_values: Array | None,
    b_indptr: Array,
    b_indices: Array,
    b_values: Array | None,
    mask_indptr: Array,
    mask_indices: Array,
    n_cols: int,
) -> tuple[Array, Array, Array]:
    """The product, cut to what the mask names."""
    structure = (a_indptr, a_indices, a_values, b_indptr, b_indices, b_values)
    indptr, indices, values = multiply_values(*structure, n_cols)
    wanted = dense(mask_indptr, mask_indices, None, n_cols) > 0
    row = edges(indptr, None)[0]
    kept = wanted[row, indices]
    n_kept = np.bincount(row[kept], minlength=len(indptr) - 1)
    return np.append(0, n_kept.cumsum()), indices[kept], values[kept]


def count_flops(a_indptr: Array, a_indices: Array, b_indptr: Array) -> Array:
    """Degrees in B of the columns of A, summed by row."""
    degrees = np.diff(b_indptr)[a_indices]
    return np.array([d.sum() for d in np.split(degrees, a_indptr[1:-1])], np.int64)[
        : len(a_indptr) - 1
    ]


def sort_rows(
    indptr: Array, indices: Array, values: Array | None = None
) -> tuple[Array, Array | None]:
    """Sort by row, then by column."""
    order = np.lexsort((indices, edges(indptr, None)[0]))
    return indices[order], None if values is None else values[order]


# Membership, samples and walks.


def columns_of(indptr: Array, indices: Array, row: int) -> list[int]:
    """One row's columns as Python integers."""
    return indices[indptr[row] : indptr[row + 1]].tolist()


def counting_order(keys: Array, n_keys: int) -> tuple[Array, Array]:
    """NumPy's stable sort."""
    starts = np.searchsorted(np.sort(keys), np.arange(n_keys + 1))
    return starts, np.argsort(keys, kind="stable")


def contains(indptr: Array, indices: Array, rows: Array, cols: Array) -> Array:
    """Look for each column in its row."""
    return np.array(
        [c in columns_of(indptr, indices, r) for r, c in zip(rows, cols, strict=True)], bool
    )


def sample_negatives(
    indptr: Array,
    indices: Array,
    rows: Array,
    n_cols: int,
    seed: int,
    *,
    forbid_diagonal: bool = False,
) -> Array:
    """List what is free in each row and take one."""
    out = []
    for position, row in enumerate(rows.tolist()):
        taken = {*columns_of(indptr, indices, row), *([row] if forbid_diagonal else [])}
        free = [c for c in range(n_cols) if c not in taken]
        bits = random_uint64(stream(seed, NEGATIVES, position), 0)
        out.append(free[random_below(bits, len(free))] if free else -1)
    return np.array(out, np.int64)


def sample_neighbors(
    indptr: Array,
    indices: Array,
    edge_ids: Array | None,
    nodes: Array,
    fanout: int,
    seed: int,
    hop: int,
) -> tuple[Array, Array, Array]:
    """Floyd's algorithm with a Python set that remembers its order."""
    positions: list[int] = []
    out_indptr = [0]
    for node in nodes.tolist():
        first, degree = int(indptr[node]), int(indptr[node + 1] - indptr[node])
        n_taken = degree if fanout < 0 else min(fanout, degree)
        key = stream(seed, NEIGHBOURS + hop, node)
        chosen: dict[int, None] = {}
        for draw, last in enumerate(range(degree - n_taken, degree)):
            offset = random_below(random_uint64(key, draw), last + 1)
            chosen[last if offset in chosen else offset] = None
        positions += [first + offset for offset in (range(degree) if n_taken == degree else chosen)]
        out_indptr.append(len(positions))
    at = np.array(positions, np.int64)
    return np.array(out_indptr), indices[at], at if edge_ids is None else edge_ids[at]


def relabel(first: Array, others: Array, n_nodes: int) -> tuple[Array, Array]:
    """A dictionary from node id to its number."""
    nodes = [*first.tolist(), *sorted({*others.tolist()} - {*first.tolist()})]
    place = {node: k for k, node in enumerate(nodes)}
    return np.array(nodes, np.int64), np.array([place[v] for v in others.tolist()], np.int64)


def distinct(ids: Array) -> Array:
    """The keys of a dictionary keep their order."""
    return np.array(list(dict.fromkeys(ids.tolist())), np.int64)


def random_walks(steps: list[tuple[Array, Array]], starts: Array, seed: int) -> Array:
    """One walk after the other."""
    return np.array(
        [list(_walk(steps, node, stream(seed, WALKS, n))) for n, node in enumerate(starts.tolist())]
    ).reshape(len(starts), len(steps) + 1)


def _walk(steps: list[tuple[Array, Array]], node: int, key: int) -> Iterator[int]:
    yield node
    for draw, (indptr, indices) in enumerate(steps):
        onward = columns_of(indptr, indices, node) if node >= 0 else []
        node = onward[random_below(random_uint64(key, draw), len(onward))] if onward else -1
        yield node


def random_numbers(seed: int, begin: int, end: int, n: int) -> Array:
    """One number of a stream each."""
    keys = [stream(seed, NUMBERS, place) for place in range(begin, end)]
    return np.array([random_below(random_uint64(key, 0), n) for key in keys], np.int64)


# Chains of steps.


def count_pairs(
    forward: Chain, backward: Chain, n_nodes: tuple[int, ...], sources: Array, targets: Array
) -> Array:
    """Entries of the product of all steps in full."""
    product = np.eye(n_nodes[0], dtype=np.int64)
    for step, n_cols in enumerate(n_nodes[1:]):
        product = product @ dense(forward.indptr[step], forward.indices[step], None, n_cols)
    return product[sources, targets]


def connected_pairs(
    forward: Chain, backward: Chain, n_nodes: tuple[int, ...], sources: Array, targets: Array
) -> Array:
    """Where there are paths."""
    return count_pairs(forward, backward, n_nodes, sources, targets) > 0


def group_by_key(keys: Array, n_keys: int) -> Array:
    """A stable sort."""
    return np.argsort(keys, kind="stable")


def onward_counts(
    indptr: Array, indices: Array, onward: Array | None, rows: Array | None = None
) -> Array:
    """Python integers, cut off at the end."""
    weights = [1] * (int(indices.max(initial=-1)) + 1) if onward is None else onward.tolist()
    wanted = range(len(indptr) - 1) if rows is None else rows.tolist()
    counts = [sum(weights[c] for c in columns_of(indptr, indices, row)) for row in wanted]
    return np.array([min(count, MOST_PATHS) for count in counts], np.int64)


def try_paths(forward: Chain, sources: Array, numbers: Array) -> tuple[Array, Array, Array]:
    """List all paths; of those that join a pair, choose the first read backwards, first copies."""
    paths = [path for source in sources.tolist() for path in _paths(forward, source)]
    best = {}
    for nodes, _ in paths:
        ends = nodes[0], nodes[-1]
        best[ends] = min(best.get(ends, nodes[::-1]), nodes[::-1])
    taken = [paths[number] for number in numbers.tolist()]
    src, dst = ([nodes[end] for nodes, _ in taken] for end in (0, -1))
    chosen = [copies and nodes[::-1] == best[nodes[0], nodes[-1]] for nodes, copies in taken]
    return np.array(src, np.int64), np.array(dst, np.int64), np.array(chosen, bool)


def _paths(forward: Chain, source: int) -> list[tuple[tuple[int, ...], bool]]:
    """Nodes of every path, by edge at every step, and whether no edge repeats the one before it."""
    paths = [((source,), True)]
    for indptr, indices in zip(forward.indptr, forward.indices, strict=True):
        longer = []
        for nodes, all_first in paths:
            columns = columns_of(indptr, indices, nodes[-1])
            for place, column in enumerate(columns):
                is_copy = place > 0 and columns[place - 1] == column
                longer.append(((*nodes, column), all_first and not is_copy))
        paths = longer
    return paths


# Hubs.


def top_hubs(degrees: Array, n_hubs: int) -> Array:
    """Sort by falling degree, then by id."""
    order = sorted(range(len(degrees)), key=lambda node: (-degrees[node], node))
    return np.array(order[:n_hubs], np.int64)


def hub_edges(
    indptr: Array, indices: Array, edge_ids: Array | None, hubs: Array, nodes: Array, n_cols: int
) -> tuple[Array, Array, Array]:
    """Keep what is among the nodes of each hub's row."""
    _, ids = edges(indptr, edge_ids)
    rows = [np.arange(indptr[hub], indptr[hub + 1]) for hub in hubs.tolist()]
    found = [row[np.isin(indices[row], nodes)] for row in rows]
    at = np.concatenate([np.zeros(0, np.int64), *found])
    return np.append(0, np.cumsum([len(row) for row in found])), indices[at], ids[at]


# Expressions.


def evaluate_expressions(
    programs: Array, constants: Array, u: Array, y: Array, counts: Array
) -> tuple[Array, Array]:
    """A stack of pairs of arrays, the second None where there is no logit below."""
    both = [
        _evaluate(program, numbers, u[b % len(u)], y, np.broadcast_to(counts, y.shape))
        for b, (program, numbers) in enumerate(zip(programs, constants, strict=True))
    ]
    value, derivative = (np.stack(part).astype(np.float32) for part in zip(*both, strict=True))
    return value, derivative


def _evaluate(
    program: Array, constants: Array, u: Array, y: Array, n: Array
) -> tuple[Array, Array]:
    names = [*CODES]
    stack: list[tuple[Array, Array | None]] = []
    for name, number in zip([names[code] for code in program], constants, strict=True):
        if name in ("constant", "u", "y", "n"):
            leaf = {"constant": np.full_like(u, number), "u": u, "y": y, "n": n}[name]
            stack.append((leaf, np.ones_like(u) if name == "u" else None))
        elif name in ("add", "mul"):
            (b, db), (a, da) = stack.pop(), stack.pop()
            value, factors = (a + b, (1, 1)) if name == "add" else (a * b, (b, a))
            parts = [f * d for f, d in zip(factors, (da, db), strict=True) if d is not None]
            stack.append((value, sum(parts[1:], parts[0]) if parts else None))
        elif name != "end":
            x, dx = stack.pop()
            value, slope = _unary(name, x)
            stack.append((value, None if dx is None else slope * dx))
    ((value, derivative),) = stack
    return value, np.zeros_like(u) if derivative is None else derivative


def _unary(name: str, x: Array) -> tuple[Array, Array]:
    """Value and slope of one operator."""
    eps, one = x.dtype.type(EPS), x.dtype.type(1)
    sign, size = np.where(x >= 0, one, -one), abs(x) + eps
    with np.errstate(all="ignore"):
        return {
            "neg": lambda: (-x, -np.ones_like(x)),
            "abs": lambda: (abs(x), np.sign(x)),
            "inv": lambda: (one / (x + eps), -((one / (x + eps)) ** 2)),
            "log": lambda: (sign * np.log(size), one / size),
            "exp": lambda: (np.exp(x), np.exp(x)),
            "tanh": lambda: (np.tanh(x), one - np.tanh(x) ** 2),
            "square": lambda: (x * x, 2 * x),
            "sqrt": lambda: (sign * np.sqrt(size), one / (2 * np.sqrt(size))),
        }[name]()


def adam(
    parameter: npt.NDArray,
    gradient: npt.NDArray,
    moment: npt.NDArray,
    square: npt.NDArray,
    rate: npt.NDArray,
    step: int,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
    """(B, n) parameter, moment and square after a step of Adam, a rate (B,) for each row."""
    slope = gradient + weight_decay * parameter
    m = betas[0] * moment + (1 - betas[0]) * slope
    v = betas[1] * square + (1 - betas[1]) * slope**2
    m_hat, v_hat = m / (1 - betas[0] ** step), v / (1 - betas[1] ** step)
    return parameter - rate[:, None] * m_hat / (np.sqrt(v_hat) + eps), m, v
