"""Reference answers: dense autograd, closed forms, small networks and data."""

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call, hessian

from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from trainers.forward import ForwardPass
from trainers.models.network import Network
from trainers.objective import Objective, on_logits


def mlp(seed: int = 0, inputs: int = 3, hidden: int = 5, outputs: int = 2) -> nn.Module:
    """An MLP with a smooth activation, float64."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, outputs))
    return net.double()


def conv_net(seed: int = 0, classes: int = 3) -> nn.Module:
    """A conv net with BatchNorm whose statistics and affine parameters are not trivial, float64."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1, bias=False),
            nn.BatchNorm2d(3),
            nn.Tanh(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(12, classes),
        ).double()
        net[1].running_mean.normal_()
        net[1].running_var.uniform_(0.5, 2.0)
        nn.init.normal_(net[1].weight, 1.0, 0.2)
        nn.init.normal_(net[1].bias)
    return net


def toy_data(shape: tuple[int, ...], counts: tuple[int, ...], seed: int = 0) -> TensorData:
    """Gaussian inputs, float64, ``counts[c]`` of class c, in mixed order."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=generator)]
    inputs = torch.randn((len(labels), *shape), generator=generator, dtype=torch.float64)
    return TensorData(inputs + labels.view(-1, *[1] * len(shape)), labels)


def dense_hessian(model: nn.Module, loss_of_outputs, inputs: Tensor) -> Tensor:
    """The Hessian over the trainable parameters, by functorch on the whole batch at once."""
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    shapes = [dict(model.named_parameters())[name].shape for name in names]
    sizes = [shape.numel() for shape in shapes]

    def loss(flat: Tensor) -> Tensor:
        parts = (part.view(s) for part, s in zip(flat.split(sizes), shapes, strict=True))
        parameters = dict(zip(names, parts, strict=True))
        return loss_of_outputs(functional_call(model, parameters, (inputs,)))

    point = torch.cat([dict(model.named_parameters())[n].detach().flatten() for n in names])
    return hessian(loss)(point)


def central_differences(model: nn.Module, loss_of_outputs, inputs: Tensor) -> Tensor:
    """The Hessian by central differences of the gradient."""
    parameters = list(model.parameters())
    point = nn.utils.parameters_to_vector(parameters).detach()

    def gradient(at: Tensor) -> Tensor:
        nn.utils.vector_to_parameters(at, parameters)
        grads = torch.autograd.grad(loss_of_outputs(model(inputs)), parameters)
        return torch.cat([g.flatten() for g in grads])

    steps = 1e-6 * torch.eye(len(point), dtype=point.dtype)
    return torch.stack([(gradient(point + e) - gradient(point - e)) / 2e-6 for e in steps])


def softmax_regression(
    samples: int = 40, features: int = 4, classes: int = 3, seed: int = 0
) -> tuple[Subject, Tensor]:
    """A convex problem and its Hessian, mean_i (diag p_i - p_i p_iᵀ) ⊗ x_i x_iᵀ."""
    data = toy_data((features,), (samples // classes,) * classes, seed)
    model = nn.Linear(features, classes, bias=False).double()
    with torch.no_grad():
        weight = torch.randn(
            classes, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        model.weight.copy_(weight)
        p = (data.inputs @ model.weight.T).softmax(dim=1)
        inner = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
        outer = data.inputs[:, :, None] * data.inputs[:, None, :]
        size = classes * features
        exact = torch.einsum("nab,nij->aibj", inner, outer).reshape(size, size) / len(p)
    return Subject(model, data), exact


class Staged(Network):
    """A small float64 network with shared stages, a last stage and a head."""

    def __init__(self, seed: int = 0, *, batchnorm: bool = False, classes: int = 3) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.first, self.second = nn.Linear(3, 5), nn.Linear(5, 4)
            self.norm = nn.BatchNorm1d(4) if batchnorm else nn.Identity()
            self.head = nn.Linear(4, classes)
        self.contrast = None
        self.double()

    def shared(self, x: Tensor) -> Tensor:
        return torch.tanh(self.first(x))

    def last(self, shared: Tensor) -> Tensor:
        return torch.tanh(self.norm(self.second(shared)))

    def last_parameters(self) -> list[nn.Parameter]:
        return [*self.second.parameters(), *self.norm.parameters()]


def objective_of(model: Network, data: TensorData, **options) -> Objective:
    """The cross-entropy of all of the data as one batch."""

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, labels, reduction="none")

    options.setdefault("class_counts", torch.bincount(data.labels))
    return Objective(ForwardPass(model), data.inputs, data.labels, on_logits(loss), **options)


class Point:
    """Gradients of weighted losses at any parameter vector, by autograd on a copy."""

    def __init__(self, model: nn.Module, data: TensorData) -> None:
        self.model, self.data = copy.deepcopy(model), data
        self.w = nn.utils.parameters_to_vector(model.parameters()).detach().clone()

    def losses(self, at: Tensor) -> Tensor:
        nn.utils.vector_to_parameters(at, self.model.parameters())
        logits = self.model(self.data.inputs)
        return nn.functional.cross_entropy(logits, self.data.labels, reduction="none")

    def gradient(self, weights: Tensor, at: Tensor | None = None) -> Tensor:
        """∇ Σ w_i ℓ_i, flat."""
        total = weights @ self.losses(self.w if at is None else at)
        parts = torch.autograd.grad(total, list(self.model.parameters()), materialize_grads=True)
        return torch.cat([part.flatten() for part in parts])

    def where(self, names: str) -> Tensor:
        """Mask of the parameters whose name starts so."""
        masks = [
            torch.full((p.numel(),), n.startswith(names)) for n, p in self.model.named_parameters()
        ]
        return torch.cat(masks)


def followed(model: nn.Module) -> Tensor:
    """The direction a rule left in ``p.grad``, flat."""
    return torch.cat([p.grad.flatten() for p in model.parameters()])
