"""The published protocol keeps the program's quirks, and no others."""

import numpy as np
import pytest
import torch

from dglmeta.data import Dataset
from dglmeta.errors import ConfigError
from dglmeta.graph import HeteroCSR
from dglmeta.systems import SELAR

N_USERS = 8
PAPER = {"protocol": "paper", "folds": 3}
HINTS = {"strategy": "selar+hint"}


@pytest.fixture
def drawn(begin):
    """Rows of the training task that two epochs draw, draw by draw; n rows; per epoch."""

    def draw(**settings):
        selar, state, _ = begin(**PAPER, **settings)
        genuine, rows = state.tasks.draw, []

        def draw(ids, rng, **options):
            rows.append(ids)
            return genuine(ids, rng, **options)

        state.tasks.draw = draw
        epochs = []
        for epoch in range(2):
            rows.clear()
            steps = sum(1 for _ in selar.epoch(state, np.random.default_rng(epoch)))
            epochs.append((steps, [*rows]))
        return state, epochs

    return draw


def test_a_step_draws_a_batch_and_a_meta_batch_a_fold_and_one_more_for_w(drawn):
    state, epochs = drawn(batch=4)
    n = len(state.primary.training)
    for steps, rows in epochs:
        assert steps == n // 4
        assert [len(ids) for ids in rows] == [8, 8, 8, 4] * steps


def test_folds_are_dealt_once_a_run_and_a_fold_is_meta_for_itself_alone(drawn):
    state, epochs = drawn(batch=4)
    of_epochs = []
    for _, rows in epochs:
        inner = [set(np.concatenate([r[:4] for r in rows[c::4]])) for c in range(3)]
        meta = [set(np.concatenate([r[4:] for r in rows[c::4]])) for c in range(3)]
        assert not any(a & b for a, b in zip(inner, meta, strict=True))
        assert len(set.union(*meta)) == sum(map(len, meta))
        of_epochs.append((inner, meta))
    assert of_epochs[0] == of_epochs[1]


def test_rows_come_in_the_order_of_users_and_begin_anew_when_they_run_out(drawn):
    state, epochs = drawn(batch=4)
    users = state.primary.training.rows.src
    _, rows = epochs[0]
    every = np.concatenate(rows[3::4])
    assert len(set(every)) == len(every)
    assert (np.diff(users[every]) >= 0).all()
    meta = [tuple(r[4:]) for r in rows[0::4]]
    passes = len(set(meta))
    assert passes < len(meta)
    assert meta == [meta[k % passes] for k in range(len(meta))]
    assert (np.diff(users[np.concatenate(meta[:passes])]) >= 0).all()


def test_the_look_ahead_moves_embeddings_and_the_primary_head_alone(begin, looked_ahead):
    selar, state, _ = begin(double=False, lr=0.3, **PAPER, **HINTS)
    at = {n: p.detach().clone() for n, p in state.model.named_parameters()}
    next(selar.epoch(state, np.random.default_rng(0)))
    assert len(looked_ahead) == 3
    for point in looked_ahead:
        rows = torch.cdist(point["embedding"], at["embedding"]).min(1).values
        assert (rows > 0).any()  # those in use move
        for name, p in point.items():
            if name.startswith("heads."):
                assert not torch.equal(p[0], at[name][0]), name
                assert torch.equal(p[1:], at[name][1:]), name
            elif name != "embedding":
                assert torch.equal(p, at[name]), name


def test_the_step_itself_moves_the_encoder_and_all_heads(begin):
    selar, state, _ = begin(**PAPER, **HINTS)
    at = {n: p.detach().clone() for n, p in state.model.named_parameters()}
    next(selar.epoch(state, np.random.default_rng(0)))
    for name, p in state.model.named_parameters():
        assert not torch.equal(p, at[name]), name


def test_one_fold_is_the_first_of_three(begin, looked_ahead):
    selar, state, _ = begin(protocol="paper", folds=1)
    next(selar.epoch(state, np.random.default_rng(0)))
    assert len(looked_ahead) == 1


def test_evaluation_samples_and_gives_the_same_again(begin):
    found = {}
    for name, settings in {
        "clean": {},
        "covering": {**PAPER, "fanouts": (-1,) * 6},
        "sampled": {**PAPER, "fanouts": (1, 1)},
    }.items():
        selar, state, _ = begin(**settings)
        rng = np.random.default_rng(0)
        for p in state.judged.parameters():
            p.data = torch.from_numpy(rng.normal(size=tuple(p.shape))).float()
        found[name] = selar.evaluate(state, "test")
        assert selar.evaluate(state, "test") == found[name]
    assert found["covering"] == pytest.approx(found["clean"])
    assert found["sampled"] != found["clean"]


def test_negatives_count_when_hubs_are_chosen(begin, toy):
    _, state, _ = begin(**PAPER, **HINTS, n_hubs=2)
    rows = toy.splits(0).train
    counts = np.bincount(rows.dst, minlength=8)
    expected = np.argsort(-counts, kind="stable")[:2] + N_USERS
    assert sorted(state.tasks.surroundings.hubs) == sorted(expected)


def test_data_with_features_is_judged_by_them(toy):
    rng = np.random.default_rng(0)
    data = {
        t: {"feat": rng.normal(size=(n, 3)).astype(np.float32)} for t, n in toy.csr.n_nodes.items()
    }
    edges = {e: adj.coo() for e, adj in toy.csr.adjacencies.items()}
    hg = HeteroCSR.from_edges(edges, toy.csr.n_nodes, data)
    ds = Dataset("described toy", hg, toy.target, toy.metapaths)
    found = {}
    for protocol, fanouts in (("paper", (-1,) * 6), ("clean", ())):
        config = SELAR.Config(batch=8, d=4, strategy="vanilla", protocol=protocol, fanouts=fanouts)
        selar = SELAR(config)
        found[protocol] = selar.evaluate(selar.init(ds, 0, 0), "test")
    assert found["paper"] == pytest.approx(found["clean"])


def test_the_published_program_predicts_links_and_no_more(toy, labelled):
    for ds, task in ((labelled, "auto"), (toy, "recommendation")):
        config = SELAR.Config(batch=8, d=4, epochs=1, task=task, protocol="paper")
        with pytest.raises(ConfigError, match="expected protocol 'clean'"):
            SELAR(config).fit(ds)
