"""InfoNCE against a loop over pairs, its gradient, its memory; the mixture of negatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency
from dglmeta.tasks.contrast import info_nce, progressive_negatives

N, Q, D = 9, 14, 4


def random_guard(n: int, n_nodes: int, share: float = 0.3, seed: int = 0) -> Adjacency:
    rng = np.random.default_rng(seed)
    return Adjacency.from_coo(*np.nonzero(rng.random((n, n_nodes)) < share), (n, n_nodes))


def rows(n: int, seed: int, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(n, D, dtype=dtype, generator=torch.Generator().manual_seed(seed))


ROWS = rows(N, 0), rows(N, 1), rows(Q, 2)
IDS = np.array([3, 3, 0, 8, 11, 5, 1, 2, 10, 7, 6, 4, 3, 0])  # repeats; 10 and 11 are no anchors
GUARD = random_guard(N, 12)


def slowly(anchor, positive, negatives, temperature, guard=None, ids=None) -> torch.Tensor:
    losses = []
    for i, a in enumerate(anchor):
        barred = set() if guard is None else set(guard.indices[slice(*guard.indptr[i : i + 2])])
        met = [q for q in range(len(negatives)) if ids is None or ids[q] not in barred | {i}]

        def similar(x, a=a):
            return torch.exp(a @ x / a.norm() / x.norm() / temperature)

        own = similar(positive[i])
        losses.append(-torch.log(own / (own + sum(similar(negatives[q]) for q in met))))
    return torch.stack(losses)


CASES = {
    "all negatives": {},
    "not a node itself": {"negative_ids": IDS},
    "guarded": {"negative_ids": IDS, "guard": GUARD},
    "guarded, ids in order": {"negative_ids": np.arange(Q), "guard": random_guard(N, 20)},
    "ids in order from 4": {"negative_ids": np.arange(4, 4 + Q), "guard": random_guard(N, 20)},
}


@pytest.mark.parametrize("budget_bytes", [1, 3 * 8 * N, 1 << 22])
@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients_are_those_of_a_loop(case, budget_bytes):
    options = CASES[case]
    given = [x.clone().requires_grad_() for x in ROWS]
    plain = [x.clone().requires_grad_() for x in ROWS]
    found = info_nce(*given, temperature=0.6, budget_bytes=budget_bytes, **options)
    wanted = slowly(*plain, 0.6, options.get("guard"), options.get("negative_ids"))
    torch.testing.assert_close(found, wanted)
    weight = torch.arange(1, N + 1, dtype=torch.float64)
    (found * weight).sum().backward()
    (wanted * weight).sum().backward()
    for one, other in zip(given, plain, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_gradients_are_those_of_differences():
    given = [x.clone().requires_grad_() for x in ROWS]
    assert torch.autograd.gradcheck(
        lambda *x: info_nce(
            *x, temperature=0.5, guard=GUARD, negative_ids=torch.from_numpy(IDS), budget_bytes=300
        ),
        given,
    )


def test_the_order_of_negatives_is_nothing():
    order = np.random.default_rng(3).permutation(Q)
    anchor, positive, negatives = ROWS
    options = {"temperature": 0.7, "guard": random_guard(N, 20)}
    one = info_nce(anchor, positive, negatives, negative_ids=np.arange(Q), **options)
    other = info_nce(anchor, positive, negatives[order], negative_ids=order, **options)
    torch.testing.assert_close(one, other)


def test_a_low_temperature_overflows_nothing():
    given = [x.float().requires_grad_() for x in ROWS]
    found = info_nce(*given, temperature=1e-3)
    # At this temperature the loss is how much nearer than the positive the nearest negative is.
    with torch.no_grad():
        u, p, v = (torch.nn.functional.normalize(x.double()) for x in ROWS)
        gap = (u @ v.T).amax(1) - (u * p).sum(1)
    torch.testing.assert_close(found.double(), gap.clamp(min=0) * 1e3, rtol=1e-3, atol=0.7)
    found.sum().backward()
    assert all(x.grad.isfinite().all() for x in given)


def test_a_node_without_negatives_has_no_loss_and_no_gradient():
    given = [x.clone().requires_grad_() for x in ROWS]
    every = Adjacency.from_coo(np.zeros(20, int), np.arange(20), (N, 20))  # all, of node 0
    found = info_nce(*given, temperature=0.5, guard=every, negative_ids=np.arange(Q))
    assert found[0] == 0
    assert (found[1:] > 0).all()
    found.sum().backward()
    assert (given[0].grad[0] == 0).all()
    assert all(x.grad.isfinite().all() for x in given)
    none = info_nce(*given[:2], torch.zeros(0, D, dtype=torch.float64), temperature=0.5)
    assert (none == 0).all()


def test_rows_of_zeros_have_cosine_zero_and_no_gradient():
    anchor, positive, negatives = (x.clone() for x in ROWS)
    anchor[0], positive[1], negatives[2] = 0, 0, 0
    given = [x.requires_grad_() for x in (anchor, positive, negatives)]
    found = info_nce(*given, temperature=0.5)
    assert found[0].item() == pytest.approx(np.log(1 + Q))
    found.sum().backward()
    for x, row in zip(given, range(3), strict=True):
        assert (x.grad[row] == 0).all()
        assert x.grad.isfinite().all()


class Largest(TorchDispatchMode):
    """The most elements that a tensor made inside has."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.elements = max(self.elements, out.numel())
        return out


def test_nothing_of_all_pairs_is_held():
    n = 600
    given = [torch.randn(n, D).requires_grad_() for _ in range(3)]
    with Largest() as largest:
        info_nce(
            *given, temperature=0.5, guard=random_guard(n, n), negative_ids=np.arange(n),
            budget_bytes=4 * n * 10,
        ).sum().backward()  # fmt: skip
    assert n * D < largest.elements == n * 10


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"temperature": 0.0}, ConfigError, "temperature above 0"),
        ({"guard": GUARD}, ConfigError, "negative_ids with a guard"),
        ({"guard": GUARD, "negative_ids": IDS + 1}, DataError, r"in \[0, 12\)"),
        ({"negative_ids": IDS - 1}, DataError, "-1 to 10"),
        ({"negative_ids": IDS[1:]}, DataError, r"negative_ids \(14,\)"),
        ({"guard": random_guard(5, 12), "negative_ids": IDS}, DataError, "of the 9 anchors"),
        ({"positive": ROWS[1][1:]}, DataError, r"positives \(n, d\)"),
        ({"negatives": ROWS[2][:, 1:]}, DataError, r"negatives \(Q, d\)"),
    ],
)
def test_what_does_not_fit_is_refused(options, error, words):
    given = dict(zip(("anchor", "positive", "negatives"), ROWS, strict=True))
    with pytest.raises(error, match=words):
        info_nce(**{"temperature": 0.5, **given, **options})


@pytest.mark.parametrize(("share", "n_late"), [(0.0, 0), (0.34, 3), (0.5, 4), (1.0, 9)])
def test_as_many_negatives_are_late_as_said(share, n_late):
    early, late = torch.arange(18.0).reshape(9, 2), -torch.arange(18.0).reshape(9, 2) - 1
    drawn = progressive_negatives(early, late, share, np.random.default_rng(0))
    is_late = drawn[:, 0] < 0
    assert int(is_late.sum()) == n_late
    torch.testing.assert_close(drawn, torch.where(is_late[:, None], late, early))


def test_each_negative_is_late_as_often():
    rng = np.random.default_rng(0)
    early, late = torch.zeros(6, 1), torch.ones(6, 1)
    total = sum(progressive_negatives(early, late, 1 / 3, rng) for _ in range(3000))
    np.testing.assert_allclose(total / 3000, 1 / 3, atol=0.04)


@pytest.mark.parametrize("share", [-0.1, 1.1, np.nan])
def test_a_share_beyond_all_is_refused(share):
    with pytest.raises(ConfigError, match=r"share in \[0, 1\]"):
        progressive_negatives(*ROWS[:2], share, np.random.default_rng(0))


def test_early_and_late_of_other_shapes_are_refused():
    with pytest.raises(DataError, match="one shape"):
        progressive_negatives(ROWS[0], ROWS[2], 0.5, np.random.default_rng(0))
