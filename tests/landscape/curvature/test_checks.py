"""Losses and data that are no matrix: refused before any long work, or allowed and told."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape.analyses.spectrum import spectrum
from landscape.analyses.spectrum_saddle import released_spectrum
from landscape.config import SpectrumConfig
from landscape.curvature.operator import CurvatureOperator
from landscape.errors import InputError
from landscape.subject.data import TensorData
from landscape.subject.loss import Loss, cross_entropy
from landscape.subject.subject import Selection, Subject
from tests.oracles import mlp, softmax_regression, toy_data

DATA = toy_data((3,), (9, 5, 3))


def diagnose(subject, **options):
    config = SpectrumConfig(steps=10, probes=1, trace_probes=2, **options)
    return spectrum(subject, config, scopes="overall", dtype=torch.float64)


class Redrawn(TensorData):
    """Data whose inputs carry new noise at every reading, as augmentation does."""

    def batches(self, indices, batch_size):
        for inputs, targets in super().batches(indices, batch_size):
            yield inputs + 0.1 * torch.randn_like(inputs), targets


class Shuffled(TensorData):
    """Data in another order at every reading."""

    def batches(self, indices, batch_size):
        yield from super().batches(indices[torch.randperm(len(indices))], batch_size)


class Dropping(TensorData):
    """A loader that drops its last batch."""

    def batches(self, indices, batch_size):
        for inputs, targets in super().batches(indices, batch_size):
            if len(inputs) == batch_size:
                yield inputs, targets


class AlwaysDropout(nn.Module):
    """Dropout that ignores eval mode."""

    def __init__(self):
        super().__init__()
        self.net = mlp(outputs=3)

    def forward(self, x):
        return self.net(F.dropout(x, 0.3, training=True))


WEIGHTED = cross_entropy(class_weights=torch.tensor([0.1, 1.0, 4.0]))


@pytest.mark.parametrize(
    "subject",
    [
        Subject(mlp(outputs=3), Redrawn(DATA.inputs, DATA.labels)),
        Subject(mlp(outputs=3), Shuffled(DATA.inputs, DATA.labels), WEIGHTED),
        Subject(AlwaysDropout(), DATA),
    ],
    ids=["augmentation", "shuffling", "dropout"],
)
def test_chance_is_refused_or_recorded(subject):
    with pytest.raises(InputError, match=r"differently the second time.*allow_nondeterministic"):
        diagnose(subject)
    found = diagnose(subject, allow_nondeterministic=True)
    assert found.repeatability[0] > 1e-6 * found.lambda_max[0]


def test_data_drawn_anew_by_a_little_are_refused():
    class Jittered(TensorData):
        def batches(self, indices, batch_size):
            for inputs, targets in super().batches(indices, batch_size):
                yield inputs + 1e-4 * torch.randn_like(inputs), targets

    with pytest.raises(InputError, match="the data are drawn anew"):
        diagnose(Subject(mlp(outputs=3), Jittered(DATA.inputs, DATA.labels)))


def test_a_loss_that_depends_on_its_batch_is_refused():
    class Normalised(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.net = nn.BatchNorm1d(3, track_running_stats=False), mlp(outputs=3)
            self.norm.double()

        def forward(self, x):
            return self.net(self.norm(x))

    with pytest.raises(InputError, match=r"in a batch of 8 and .* in one of 4.*with bn batch"):
        diagnose(Subject(Normalised(), DATA))

    def centred(model, batch):
        losses = F.cross_entropy(model(batch[0]), batch[1], reduction="none")
        return losses - losses.mean()

    with pytest.raises(InputError, match="averaged within the batch"):
        diagnose(Subject(mlp(outputs=3), DATA, Loss.of_batch(centred)))


def test_the_bound_is_never_below_what_chance_does_to_the_value():
    class Jittered(TensorData):
        def batches(self, indices, batch_size):
            for inputs, targets in super().batches(indices, batch_size):
                yield inputs * (1 + 1e-3 * torch.randn(1, dtype=inputs.dtype)), targets

    torch.manual_seed(0)
    subject = Subject(mlp(outputs=3), Jittered(DATA.inputs, DATA.labels))
    config = SpectrumConfig(steps=40, probes=1, trace_probes=0, allow_nondeterministic=True)
    drawn = [spectrum(subject, config, scopes="overall", dtype=torch.float64) for _ in range(20)]
    values = torch.tensor([float(d.lambda_max[0]) for d in drawn])
    bounds = torch.tensor([float(d.lambda_max_bound[0]) for d in drawn])
    assert bounds.median() > 0.1 * values.std()


def test_a_dropped_batch_is_refused():
    subject = Subject(mlp(outputs=3), Dropping(DATA.inputs, DATA.labels))
    selection = Selection(torch.arange(17), torch.full((17,), 1 / 17, dtype=torch.float64))
    operator = CurvatureOperator(subject, selection, dtype=torch.float64, batch_size=4)
    with pytest.raises(InputError, match="gave 16 of 17 samples"):
        operator.loss_and_gradient()


def test_ordinary_dropout_is_off():
    model = nn.Sequential(nn.Dropout(0.5), mlp(outputs=3)).train()
    found, plain = diagnose(Subject(model, DATA)), diagnose(Subject(mlp(outputs=3), DATA))
    assert found.lambda_max[0] == plain.lambda_max[0]


def test_redrawn_augmentation_is_refused_where_the_released_analysis_turns_negative():
    """PyHessian as released with Saddle-LongTail augments anew at every product."""

    class Augmented(TensorData):
        def batches(self, indices, batch_size):
            for inputs, targets in super().batches(indices, batch_size):
                yield inputs + 0.3 * torch.randn(inputs.shape, dtype=inputs.dtype), targets

    torch.manual_seed(0)
    convex, _ = softmax_regression(samples=120, features=6)
    subject = Subject(convex.model, Augmented(convex.data.inputs, convex.data.labels))
    theirs = released_spectrum(subject, scopes="overall")
    assert theirs.lambda_min[0] / theirs.lambda_max[0] < -0.001
    with pytest.raises(InputError, match="differently the second time"):
        spectrum(subject, SpectrumConfig(), scopes="overall")


def test_gauss_newton_on_data_in_changing_order_is_refused():
    """hessian-eigenthings takes a new batch at every product."""
    weighted = cross_entropy(class_weights=torch.tensor([0.1, 1.0, 4.0]))
    subject = Subject(mlp(outputs=3), Shuffled(DATA.inputs, DATA.labels), weighted)
    config = SpectrumConfig(steps=8, trace_probes=0, curvature="ggn")
    with pytest.raises(InputError, match="differently the second time"):
        spectrum(subject, config, scopes="overall", dtype=torch.float64)
