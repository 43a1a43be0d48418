"""Your own DGLGraph from three tables, a GCN on it, and torch.func through both."""

import torch
from torch.func import functional_call, grad, jvp

import dglmeta as dm

dgl = dm.load_dgl()  # `import dgl`, whatever torch is installed
wrote = [0, 0, 1, 2, 3], [0, 1, 1, 2, 3]  # author, paper
cites = [1, 2, 3, 3], [0, 0, 1, 2]  # paper, paper
shown = [0, 1, 2, 3], [0, 0, 1, 1]  # paper, venue
g = dgl.heterograph({("author", "wrote", "paper"): wrote, ("paper", "cites", "paper"): cites,
                     ("paper", "shown_at", "venue"): shown})  # fmt: skip
x = {name: torch.randn(g.num_nodes(name), 8) for name in g.ntypes}
topic = torch.tensor([0, 0, 1, 1])  # of each paper
gcn = dm.nn.GCN(8, 2, both_ways=True)
params = dict(gcn.named_parameters())


def loss(params):
    logits = functional_call(gcn, params, (g, x))["paper"]
    return torch.nn.functional.cross_entropy(logits, topic)


gradient = grad(loss)(params)
curvature = jvp(grad(loss), (params,), (gradient,))[1]  # the Hessian times the gradient
print({name: (gradient[name].norm().item(), curvature[name].norm().item()) for name in params})
