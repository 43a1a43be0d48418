"""ManyAdam and ManyPlateau against torch's, model by model."""

import pytest
import torch
from torch import nn

from dglmeta.errors import ConfigError
from dglmeta.nn.many_models import Stacked
from dglmeta.train.many_adam import ManyAdam, ManyPlateau

B, RATES = 3, [0.1, 0.01, 0.05]


def normal(*shape, seed=0, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=dtype)


def start(dtype):
    parameters = nn.Parameter(normal(B, 5, 7, dtype=dtype)), nn.Parameter(normal(B, 4, dtype=dtype))
    return [Stacked(parameters[0], True), Stacked(parameters[1], False)]


def gradients(step, dtype):
    return normal(B, 5, 7, seed=step, dtype=dtype), normal(B, 4, seed=step + 99, dtype=dtype)


def move(stacked, optimizer, steps, dtype, keep=slice(None)):
    for step in steps:
        for (p, _), g in zip(stacked, gradients(step, dtype), strict=True):
            p.grad = g[keep]
        optimizer.step()


def torchs(b, lr, dtype):
    parts = [nn.Parameter(p[b].detach().clone()) for p, _ in start(dtype)]
    groups = [{"params": [parts[0]], "weight_decay": 0.3}, {"params": [parts[1]]}]
    return parts, torch.optim.Adam(groups, lr=lr)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_model_moves_as_by_torchs_adam_at_its_rate(dtype):
    stacked = start(dtype)
    optimizer = ManyAdam(stacked, torch.tensor(RATES), weight_decay=0.3)
    move(stacked, optimizer, range(9), dtype)
    bound = 1e-12 if dtype == torch.float64 else 2e-6
    for b, lr in enumerate(torch.tensor(RATES).tolist()):
        parts, oracle = torchs(b, lr, dtype)
        for step in range(9):
            for p, g in zip(parts, gradients(step, dtype), strict=True):
                p.grad = g[b]
            oracle.step()
        for (p, _), q in zip(stacked, parts, strict=True):
            torch.testing.assert_close(p[b], q, rtol=bound, atol=bound)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_on_a_gpu_it_steps_as_on_the_processor(on_cuda, dtype):
    here, there = start(dtype), [
        Stacked(nn.Parameter(p.detach().to(on_cuda)), decays) for p, decays in start(dtype)
    ]  # fmt: skip
    one = ManyAdam(here, torch.tensor(RATES), weight_decay=0.3)
    other = ManyAdam(there, torch.tensor(RATES), weight_decay=0.3, device="cuda")
    for step in range(4):
        for stacked, optimizer in ((here, one), (there, other)):
            for (p, _), g in zip(stacked, gradients(step, dtype), strict=True):
                p.grad = g.to(p.device)
            optimizer.step()
    for (p, _), (q, _) in zip(here, there, strict=True):
        torch.testing.assert_close(q.cpu(), p)
    some = other.select(torch.tensor([2]), [Stacked(nn.Parameter(p[2:]), d) for p, d in there])
    assert (some.device, some.n_steps, some.lr.device.type) == ("cuda", 4, on_cuda)


@pytest.mark.parametrize("keep", [torch.tensor([2, 0]), torch.tensor([True, False, True])])
def test_those_selected_go_on_as_if_all_had(keep):
    every, some = start(torch.float64), start(torch.float64)
    one, other = (ManyAdam(s, torch.tensor(RATES), weight_decay=0.3) for s in (every, some))
    move(every, one, range(6), torch.float64)
    move(some, other, range(3), torch.float64)
    part = [Stacked(nn.Parameter(p.detach()[keep]), decays) for p, decays in some]
    move(part, other.select(keep, part), range(3, 6), torch.float64, keep)
    for (p, _), (q, _) in zip(every, part, strict=True):
        torch.testing.assert_close(p[keep], q)


def test_parameters_without_a_gradient_stay():
    stacked = start(torch.float32)
    optimizer, before = ManyAdam(stacked, 0.1, weight_decay=1.0), stacked[0].parameter.clone()
    stacked[1].parameter.grad = torch.ones(B, 4)
    optimizer.step()
    torch.testing.assert_close(stacked[0].parameter, before, rtol=0, atol=0)
    optimizer.zero_grad()
    assert stacked[1].parameter.grad is None


def test_gradients_need_not_be_contiguous():
    p, q = (nn.Parameter(torch.ones(2, 3, 4)) for _ in range(2))
    g = normal(2, 4, 3).transpose(1, 2)
    for parameter, gradient in ((p, g), (q, g.contiguous())):
        parameter.grad = gradient
        ManyAdam([Stacked(parameter, False)], 0.1).step()
    torch.testing.assert_close(p, q, rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler:UserWarning")
@pytest.mark.parametrize("patience", [0, 2, 5])
def test_rates_fall_as_by_torchs_scheduler(patience):
    values = 1 + normal(60, B, seed=3).abs() / torch.linspace(1, 9, 60)[:, None]
    values[7, 1] = torch.nan
    optimizer = ManyAdam(start(torch.float32), torch.tensor(RATES, dtype=torch.float64))
    plateau = ManyPlateau(optimizer, factor=0.5, patience=patience)
    oracles = [torchs(b, lr, torch.float32)[1] for b, lr in enumerate(RATES)]
    theirs = [
        torch.optim.lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=patience)
        for o in oracles
    ]
    for row in values:
        plateau.step(row)
        for scheduler, value in zip(theirs, row.tolist(), strict=True):
            scheduler.step(value)
        assert optimizer.lr.tolist() == [o.param_groups[0]["lr"] for o in oracles]
    assert (optimizer.lr < torch.tensor(RATES)).all()


def test_a_plateau_remembers_those_selected():
    optimizer = ManyAdam(start(torch.float32), 0.1)
    plateau = ManyPlateau(optimizer, patience=1)
    for values in ([1.0, 1, 1], [1.0, 0.5, 2]):
        plateau.step(torch.tensor(values))
    keep = torch.tensor([1, 2])
    part = [Stacked(nn.Parameter(p.detach()[keep]), d) for p, d in start(torch.float32)]
    optimizer = optimizer.select(keep, part)
    plateau.select(keep, optimizer).step(torch.tensor([0.6, 1.0]))
    assert optimizer.lr.tolist() == [0.1, 0.05]


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="3 models"):
        ManyAdam(start(torch.float32), torch.tensor([0.1, 0.2]))
    with pytest.raises(ConfigError, match="-0.1"):
        ManyAdam(start(torch.float32), -0.1)
    with pytest.raises(ConfigError, match="leading axis"):
        ManyAdam([], 0.1)
    with pytest.raises(ConfigError, match="factor"):
        ManyPlateau(ManyAdam(start(torch.float32), 0.1), factor=1.5)
