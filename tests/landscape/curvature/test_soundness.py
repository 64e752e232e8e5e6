"""The code of model and loss is checked once for all scopes, the samples of each scope anew."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from landscape.analyses.spectrum import spectrum
from landscape.config import SpectrumConfig
from landscape.curvature import operator, soundness
from landscape.errors import InputError
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from tests.oracles import conv_net, dense_hessian, mlp, toy_data

SHORT = SpectrumConfig(steps=4, probes=1)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def compared(monkeypatch):
    """Sizes of the batches whose products are compared with finite differences."""
    sizes, compare = [], soundness.compare_products

    def watched(model, loss, batch, *others):
        sizes.append(batch.size)
        return compare(model, loss, batch, *others)

    monkeypatch.setattr(soundness, "compare_products", watched)
    return sizes


def test_products_are_compared_once_for_all_scopes(compared):
    found = spectrum(Subject(conv_net(), toy_data((1, 4, 4), (9, 5, 3))), SHORT, scopes="classes")
    assert len(found.scope) == 3
    assert compared == [8, 1]


class Lengths:
    """Sequences, those of the last class longer than the others'."""

    def __init__(self):
        self.labels = torch.tensor([0] * 4 + [1] * 3 + [2] * 3)
        generator = torch.Generator().manual_seed(0)
        self.rows = [
            torch.randn(3 + int(c == 2), 4, generator=generator) for c in self.labels.tolist()
        ]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index], int(self.labels[index])


def padded(items):
    rows, labels = zip(*items, strict=True)
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True), torch.tensor(labels)


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3, bias=False)

    def forward(self, x):
        return torch.tanh(self.layer(x)).sum(dim=1)  # what is padded adds nothing


def test_samples_of_other_shapes_are_compared_anew(compared):
    data = DataLoader(Lengths(), batch_size=4, collate_fn=padded)
    spectrum(Subject(Pooled(), data), SHORT, scopes="classes")
    assert compared == [8, 1, 4, 1]  # of all scopes, padded as the last; of the first


class RedrawnTail(TensorData):
    def batches(self, indices, batch_size):
        for inputs, targets in super().batches(indices, batch_size):
            yield inputs + torch.rand(len(inputs), 1) * (targets == 2)[:, None], targets


def test_a_later_scope_whose_samples_are_drawn_anew_is_refused():
    data = toy_data((3,), (9, 5, 3))
    redrawn = RedrawnTail(data.inputs, data.labels)
    with pytest.raises(InputError, match="came out differently the second time"):
        spectrum(Subject(mlp(outputs=3), redrawn), SHORT, scopes="classes")


def test_a_later_scope_whose_loss_has_no_gradient_is_refused():
    def loss(outputs, labels):
        each = nn.functional.cross_entropy(outputs, labels, reduction="none")
        return each.detach() if (labels == 2).all() else each

    subject = Subject(mlp(outputs=3), toy_data((3,), (9, 5, 3)), loss)
    with pytest.raises(InputError, match="no gradient"):
        spectrum(subject, SHORT, scopes="classes")


def test_one_copy_in_float64_certifies_all_scopes(monkeypatch):
    copies, copied = [], operator.evaluation_copy

    def watched(model, dtype=torch.float32, bn="eval"):
        copies.append(dtype)
        return copied(model, dtype, bn)

    monkeypatch.setattr(operator, "evaluation_copy", watched)
    model = nn.Linear(3, 3)
    with torch.no_grad():
        model.weight.copy_(40 * torch.eye(3))
        model.bias.zero_()
    data = TensorData(torch.eye(3).repeat(3, 1), torch.arange(3).repeat(3))
    found = spectrum(Subject(model, data), SHORT, scopes="classes")
    assert (found.loss < 1e-6).all()
    assert copies.count(torch.float64) == 1


def test_a_scopes_numbers_do_not_depend_on_those_before_it():
    subject = Subject(conv_net(), toy_data((1, 4, 4), (9, 5, 3)))
    alone = spectrum(subject, SHORT, scopes="class/2", dtype=torch.float64)
    among = spectrum(subject, SHORT, scopes="classes", dtype=torch.float64)
    assert among.lambda_max[2] == alone.lambda_max[0]
    assert among.lambda_min[2] == alone.lambda_min[0]


class Kinked(torch.autograd.Function):
    """tanh, whose second derivative is left out."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.tanh(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (1 - torch.tanh(x) ** 2).detach()


class Branching(nn.Module):
    """Take a broken way for samples whose first input is above 100."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(3, 4), nn.Linear(4, 3)
        self.broken = Kinked.apply

    def forward(self, x):
        features = self.one(x / 100)
        return self.two(torch.where(x[:, :1] > 100, self.broken(features), torch.tanh(features)))


@pytest.mark.parametrize("scopes", ["classes", "overall", ("overall", "class/0")])
def test_a_way_that_one_class_alone_takes_is_tested(scopes):
    data = toy_data((3,), (20, 9, 3))
    inputs = data.inputs + 200.0 * (data.labels == 1)[:, None]
    subject = Subject(Branching(), TensorData(inputs, data.labels))
    with pytest.raises(InputError, match="second derivative"):
        spectrum(subject, SHORT, scopes=scopes)
    assert spectrum(subject, SHORT, scopes="class/0").lambda_max > 0


@pytest.mark.parametrize("curvature", ["ggn", "fisher", "empirical-fisher"])
def test_other_matrices_have_to_be_symmetric(curvature):
    class Opaque(Kinked):
        """Return a gradient without a graph, as compiled kernels do."""

        @staticmethod
        def backward(ctx, g):
            return Kinked.backward(ctx, g).detach()

    net = Branching()
    net.broken = Opaque.apply
    inputs = toy_data((3,), (9, 5, 3))
    subject = Subject(net, TensorData(inputs.inputs + 200, inputs.labels))
    with pytest.raises(InputError, match=r"not symmetric|cannot be differentiated"):
        spectrum(subject, SpectrumConfig(steps=4, probes=1, curvature=curvature), scopes="overall")


def test_networks_as_they_are_initialised_are_judged_on_images_with_black_parts():
    net = nn.Sequential(
        *(nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2), nn.ReLU()),
        *(nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Linear(2, 3),
    ).double()
    nn.init.zeros_(net[3].bias)
    images = torch.zeros(9, 1, 6, 6, dtype=torch.float64)
    images[1:, :, 2:4, 2:4] = torch.rand(8, 1, 2, 2, dtype=torch.float64)
    labels = torch.arange(9) % 3
    net.eval()
    exact = dense_hessian(net, lambda out: F.cross_entropy(out, labels), images)
    found = spectrum(Subject(net, TensorData(images, labels)), scopes="overall")
    low, high = torch.linalg.eigvalsh(exact)[[0, -1]].tolist()
    assert abs(found.lambda_min[0] - low) <= 1e-3 * high
    assert found.lambda_max[0] == pytest.approx(high, rel=1e-3)
    assert found.lowest[0] <= low <= found.lambda_min[0] + found.noise_floor[0]


def test_padding_of_embeddings_has_no_derivative():
    class Text(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.head = nn.Embedding(7, 3, padding_idx=0), nn.Linear(3, 2)

        def forward(self, x):
            return self.head(torch.tanh(self.words(x)).mean(dim=1))

    tokens = torch.tensor([[1, 2, 0, 0], [3, 0, 0, 0], [4, 5, 6, 0], [2, 2, 0, 0]])
    model = Text().double()
    with torch.no_grad():
        model.words.weight[0] = 3.0  # a file may say so
    subject = Subject(model, TensorData(tokens, torch.tensor([0, 1, 0, 1])))
    assert spectrum(subject, SHORT, scopes="overall").lambda_max > 0


def test_two_samples_that_depend_on_each_other_are_refused():
    def centred(outputs, labels):
        return nn.functional.cross_entropy(outputs - outputs.mean(0), labels, reduction="none")

    subject = Subject(mlp(outputs=3), toy_data((3,), (2, 2, 2)), centred)
    with pytest.raises(InputError, match=r"in a batch of 2"):
        spectrum(subject, SHORT, scopes="class/1")


def test_a_way_that_was_given_up_is_not_taken_again():
    """PyTorch's InstanceNorm of one image is wrong with channels last."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1)
            self.norm = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)

        def forward(self, x):
            return self.two(torch.tanh(self.norm(self.one(x)))).mean((2, 3))

    sizes = (5, 7, 5)

    class Sizes(Lengths):
        def __init__(self):
            self.labels = torch.tensor([0, 0, 1, 1, 2, 2])
            self.rows = [torch.rand(1, sizes[c], sizes[c]) for c in self.labels.tolist()]

    def joined(items):
        most = max(image.shape[-1] for image, _ in items)
        images = [F.pad(i, (0, most - i.shape[-1], 0, most - i.shape[-1])) for i, _ in items]
        return torch.stack(images), torch.tensor([label for _, label in items])

    subject = Subject(Net(), DataLoader(Sizes(), batch_size=2, collate_fn=joined))
    options = {"batch_size": 1, "dtype": torch.float64}
    alone = spectrum(subject, SHORT, scopes="class/2", **options)
    among = spectrum(subject, SHORT, scopes="classes", **options)
    assert among.lambda_max[2] == pytest.approx(alone.lambda_max[0], rel=1e-10)
    exact = spectrum(subject, SHORT, scopes="class/2", batch_size=2, dtype=torch.float64)
    assert among.lambda_max[2] == pytest.approx(exact.lambda_max[0], rel=1e-10)
