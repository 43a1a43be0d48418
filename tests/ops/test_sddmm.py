from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from dglmeta import ops


@given(data=st.data())
def test_equals_the_entries_of_the_dense_product(adjacencies, data):
    adj = data.draw(adjacencies)
    rng = np.random.default_rng(adj.n_edges)
    x, z = rng.normal(size=(adj.n_src, 3)), rng.normal(size=(adj.n_dst, 3))
    ours = ops.sddmm(adj, torch.from_numpy(x), torch.from_numpy(z))
    np.testing.assert_allclose(ours.numpy(), (x @ z.T)[adj.coo()], atol=1e-12)


def test_seen_from_the_other_side_it_is_the_same(adj):
    x, z = torch.randn(adj.n_src, 2, 4), torch.randn(adj.n_dst, 2, 4)
    torch.testing.assert_close(ops.sddmm(adj, x, z), ops.sddmm(adj.T, z, x))
