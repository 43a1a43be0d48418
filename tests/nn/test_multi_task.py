"""An encoder and heads that serve several tasks, against dense products."""

import numpy as np
import pytest
import torch

from dglmeta.errors import DataError
from dglmeta.graph import Adjacency
from dglmeta.meta import parameters_of
from dglmeta.nn.multi_task import (
    NORMS,
    TASKS,
    EncoderForm,
    MultiTaskModel,
    Question,
    TaskGraphs,
    answer,
    encode_tasks,
    task_product,
)

N_ROWS, D_IN, D = (5, 0, 7), 3, 4
PTR = (0, 5, 5, 12)
MANY = (0, 3, 3, 4, 9, 12, 12)


@pytest.fixture(scope="module")
def graphs():
    """Messages within the rows of each of three tasks, the second of which has none."""
    rng = np.random.default_rng(0)
    dense = np.zeros((12, 12))
    for a, b in zip(PTR, PTR[1:], strict=False):
        dense[a:b, a:b] = rng.random((b - a, b - a)) * (rng.random((b - a, b - a)) < 0.5)
    src, dst = np.nonzero(dense)
    adj = Adjacency.from_coo(src, dst, dense.shape)
    weight = torch.from_numpy(dense[adj.coo()])
    return TaskGraphs(torch.from_numpy(rng.normal(size=(12, D_IN))), adj, weight, PTR)


def model(**options):
    torch.manual_seed(0)
    return MultiTaskModel(D_IN, D, {"gc": 3, "nc": 2, "lp": 0}, **options).double()


def of_each_task(params):
    """Parameters that differ between tasks."""
    torch.manual_seed(1)
    return {n: p + torch.randn(3, *p.shape, dtype=p.dtype) for n, p in params.items()}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("residual", [True, False])
def test_layers_are_those_of_the_book_task_by_task(graphs, norm, residual):
    params = of_each_task(parameters_of(model()))
    found = encode_tasks(params, graphs, EncoderForm(norm, residual))
    dense = np.zeros((12, 12))
    dense[graphs.messages.coo()] = graphs.weight.numpy()
    for t, (a, b) in enumerate(zip(PTR, PTR[1:], strict=False)):
        h, adj = graphs.heard[a:b].numpy(), dense[a:b, a:b]
        for k in range(3):
            weight, bias = (
                params[f"encoder.{x}_{k}"][t].detach().numpy() for x in ("weight", "bias")
            )
            out = (adj @ h if k else h) @ weight + bias
            if norm == "layer":
                out = (out - out.mean(1, keepdims=True)) / np.sqrt(out.var(1, keepdims=True) + 1e-5)
            out = np.maximum(out, 0)
            h = out + h if k and residual else out
            if norm == "l2":
                h = h / np.maximum(np.linalg.norm(h, axis=1, keepdims=True), 1e-6)
        np.testing.assert_allclose(found[a:b].detach().numpy(), h, rtol=1e-9, atol=1e-12)


def test_a_row_of_zeros_has_a_length_of_zero_and_a_gradient(graphs):
    params = {n: torch.zeros_like(p).requires_grad_() for n, p in parameters_of(model()).items()}
    z = encode_tasks(params, graphs, EncoderForm("l2"))
    assert not z.any()
    gradients = torch.autograd.grad(z.sum(), list(params.values()), materialize_grads=True)
    assert all(torch.isfinite(g).all() for g in gradients)


def test_a_matrix_for_each_task_or_one_for_all():
    x, weight, bias = torch.randn(12, 3), torch.randn(3, 3, 4), torch.randn(3, 4)
    found = task_product(x, weight, bias, PTR)
    for t, (a, b) in enumerate(zip(PTR, PTR[1:], strict=False)):
        torch.testing.assert_close(found[a:b], x[a:b] @ weight[t] + bias[t])
    torch.testing.assert_close(task_product(x, weight[0], bias[0], PTR), x @ weight[0] + bias[0])


@pytest.mark.parametrize("ptr", [PTR, MANY])
def test_products_of_tasks_are_differentiable_twice(ptr):
    leaves = [
        torch.randn(shape, dtype=torch.float64, requires_grad=True)
        for shape in ((12, 2), (len(ptr) - 1, 2, 2), (len(ptr) - 1, 2))
    ]
    assert torch.autograd.gradcheck(lambda *a: task_product(*a, ptr), leaves)
    assert torch.autograd.gradgradcheck(lambda *a: task_product(*a, ptr), leaves)


def test_many_parts_are_multiplied_as_few_are():
    x, weight, bias = torch.randn(12, 3), torch.randn(6, 3, 4), torch.randn(6, 4)
    found = task_product(x, weight, bias, MANY)
    for part, (a, b) in enumerate(zip(MANY, MANY[1:], strict=False)):
        torch.testing.assert_close(found[a:b], x[a:b] @ weight[part] + bias[part])


@pytest.mark.parametrize("pooling", ["mean", "sum"])
def test_graphs_are_answered_by_their_pooled_nodes(graphs, pooling):
    params = parameters_of(model())
    z = torch.randn(12, D, dtype=torch.float64)
    pool = Adjacency(np.array([0, 3, 5]), np.array([5, 7, 9, 10, 11], np.int32), None, 12)
    question = Question(torch.tensor([4, 2]), torch.tensor([0, 1]), pool)
    logits = answer("gc", params, z, graphs, 2, question, pooling=pooling)
    head = {n.rpartition(".")[2]: p for n, p in params.items() if ".gc." in n}
    e = (z @ head["weight_in"] + head["bias_in"]).relu()
    pooled = torch.stack([getattr(e[rows], pooling)(0) for rows in ([5, 7, 9], [10, 11])])
    torch.testing.assert_close(logits, pooled @ head["weight_out"] + head["bias_out"])


def test_nodes_are_answered_linearly(graphs):
    params = parameters_of(model())
    z = torch.randn(12, D, dtype=torch.float64)
    question = Question(torch.tensor([11, 6]), torch.tensor([0, 1]))
    logits = answer("nc", params, z, graphs, 2, question)
    expected = z[[11, 6]] @ params["heads.nc.weight_out"] + params["heads.nc.bias_out"]
    torch.testing.assert_close(logits, expected)


@pytest.mark.parametrize("additive", [True, False])
def test_links_are_answered_by_both_ends(graphs, additive):
    params = parameters_of(model(additive=additive))
    z = torch.randn(12, D, dtype=torch.float64)
    question = Question(torch.tensor([[0, 4, 1], [2, 3, 0]]), torch.tensor([1.0, 0.0, 0.0]))
    logits = answer("lp", params, z, graphs, 0, question, additive=additive)
    e = (z @ params["heads.lp.weight_in"] + params["heads.lp.bias_in"]).relu()
    u, v = e[question.rows]
    ends = torch.cat([u, v] if additive else [(u - v).abs(), u * v], 1)
    expected = (ends @ params["heads.lp.weight_out"] + params["heads.lp.bias_out"])[:, 0]
    torch.testing.assert_close(logits, expected)


def test_the_order_of_ends_counts_in_the_published_head_only(graphs):
    z = torch.randn(12, D, dtype=torch.float64)
    pairs = torch.tensor([[0, 4, 1], [2, 3, 0]])
    for additive in (True, False):
        params = parameters_of(model(additive=additive))
        one, two = (
            answer("lp", params, z, graphs, 0, Question(p, torch.zeros(3)), additive=additive)
            for p in (pairs, pairs.flip(0))
        )
        assert torch.allclose(one, two) != additive


def test_heads_are_those_of_the_tasks_asked_for():
    assert list(model().heads) == list(TASKS)
    one = MultiTaskModel(D_IN, D, {"nc": 2})
    assert [n for n, _ in one.named_parameters() if "heads" in n] == [
        "heads.nc.weight_out",
        "heads.nc.bias_out",
    ]


def test_a_question_about_graphs_must_say_which_nodes_are_theirs(graphs):
    question = Question(torch.tensor([0]), torch.tensor([0]))
    with pytest.raises(DataError, match=r"with a pool of their nodes, got None\. Give"):
        answer("gc", parameters_of(model()), torch.zeros(12, D).double(), graphs, 0, question)
