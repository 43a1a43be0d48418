"""A masked variational HAN: what is hidden stays hidden, and identity needs no one-hot rows."""

import numpy as np
import pytest
import torch

from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency
from dglmeta.nn.variational_han import MAX_LOG_SIGMA, Hidden, Posterior, VariationalHAN

N, D_IN, D = 9, 5, 4


@pytest.fixture
def near():
    rng = np.random.default_rng(0)
    dense = [(rng.random((N, N)) < 0.3) | np.eye(N, dtype=bool) for _ in range(2)]
    return [Adjacency.from_coo(*np.nonzero(one), (N, N)) for one in dense]


def made(d_in=D_IN, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = VariationalHAN(2, N, d_in, D, n_heads=2, d_semantic=3, **settings).double()
        for p in model.parameters():
            torch.nn.init.normal_(p, std=0.5)
    return model.eval()


def features():
    return torch.randn(N, D_IN, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def ids(*numbers):
    return torch.tensor(numbers, dtype=torch.int64)


HIDDEN = Hidden(ids(1, 4, 6, 8), ids(4, 8), ids(6), ids(0))


def test_features_behind_a_token_are_not_read(near):
    model, x = made(), features()
    changed = x.clone()
    changed[[4, 8, 6]] += 1.0
    for a, b in zip(
        model.encode(near, x, HIDDEN), model.encode(near, changed, HIDDEN), strict=True
    ):
        torch.testing.assert_close(a, b)
    kept = x.clone()
    kept[1] += 1.0
    assert not torch.allclose(model.encode(near, kept, HIDDEN).mu, model.encode(near, x, HIDDEN).mu)


def test_hidden_rows_are_replaced_as_told(near):
    model, x = made(), features()
    by_hand = x.clone()
    by_hand[[4, 8]] = model.token
    by_hand[6] = x[0]
    assert torch.equal(model.encode(near, by_hand).mu, model.encode(near, x, HIDDEN).mu)


def test_the_decoder_does_not_see_hidden_rows(near):
    model = made()
    z = torch.randn(N, D, dtype=torch.float64)
    changed = z.clone()
    changed[HIDDEN.nodes] += 1.0
    assert torch.equal(model.decode(near, z, HIDDEN), model.decode(near, changed, HIDDEN))
    assert model.decode(near, z, HIDDEN).shape == (N, D_IN)


def test_cosines_are_those_of_rows_and_one_where_nothing_is_told():
    model, x = made(), features()
    x[3] = 0
    told = torch.randn(N, D_IN, dtype=torch.float64, requires_grad=True)
    cosines = model.cosines(told, x, ids(0, 3, 5))
    expected = torch.nn.functional.cosine_similarity(told[[0, 5]], x[[0, 5]])
    torch.testing.assert_close(cosines[[0, 2]], expected)
    assert cosines[1] == 1
    cosines.sum().backward()
    assert torch.isfinite(told.grad).all()
    assert (told.grad[3] == 0).all()


def test_identity_features_are_as_one_hot_rows():
    model = made(0)
    y = torch.randn(N, D, dtype=torch.float64)
    one_hot = torch.eye(N, dtype=torch.float64)
    expected = torch.nn.functional.cosine_similarity(y @ model.identity.T, one_hot)
    torch.testing.assert_close(model.cosines(y, None, torch.arange(N)), expected)
    y[2] = 0
    y.requires_grad_()
    cosines = model.cosines(y, None, torch.arange(N))
    assert cosines[2] == 1
    cosines.sum().backward()
    assert torch.isfinite(y.grad).all()
    assert torch.isfinite(model.identity.grad).all()


def test_identity_reads_an_embedding_a_node(near):
    model = made(0)
    other = made(D)
    other.load_state_dict({k: v for k, v in model.state_dict().items() if k != "identity"})
    expected = other.encode(near, model.identity.detach(), HIDDEN).mu
    torch.testing.assert_close(model.encode(near, None, HIDDEN).mu, expected)


def test_deviations_are_bounded_and_draws_are_normal(near):
    model, x = made(), features()
    torch.nn.init.constant_(model.log_sigma.bias, 99.0)
    assert (model.encode(near, x).log_sigma == MAX_LOG_SIGMA).all()
    q = Posterior(torch.full((1, 2), 3.0), torch.full((1, 2), np.log(2.0)))
    torch.testing.assert_close(q.draw(torch.tensor([[1.0, -1.0]])), torch.tensor([[5.0, 1.0]]))


def test_weights_of_paths_sum_to_one(near):
    weights = made(n_layers=2).semantic_weights(near, features())
    assert len(weights) == 2
    assert sum(weights) == pytest.approx(1.0)


def test_dropout_is_for_training_only(near):
    model, x = made(feature_dropout=0.5), features()
    assert torch.equal(model.encode(near, x).mu, model.encode(near, x).mu)
    model.train()
    assert not torch.equal(model.encode(near, x).mu, model.encode(near, x).mu)


def test_features_must_be_there_or_not(near):
    with pytest.raises(DataError, match="expected features, got none"):
        made().encode(near, None)
    with pytest.raises(DataError, match=r"expected no features, got \(9, 5\)"):
        made(0).encode(near, features())
    with pytest.raises(ConfigError, match="n_paths"):
        VariationalHAN(0, N, D_IN, D)
