"""Networks: sizes as published, shortcuts without parameters, heads."""

import pytest
import torch

from landscape.errors import InputError
from trainers.models.catalogue import MODELS, build_model
from trainers.models.heads import CosineHead
from trainers.models.resnet_cifar import Block


@pytest.mark.parametrize(
    ("name", "classes", "channels", "count"),
    [
        ("resnet32", 10, 3, 464_154),
        ("resnet32", 100, 3, 470_004),
        ("resnet30", 10, 3, 390_170),
        ("resnet20", 10, 3, 269_722),
        ("resnet8", 10, 1, 75_002),
    ],
)
def test_parameter_counts(name, classes, channels, count):
    model = build_model(name, classes, channels)
    assert sum(p.numel() for p in model.parameters()) == count


def test_head_of_the_released_codes_network():
    """PyTorch's default weights, uniform in ±1/8, for ResNet-30; Kaiming-normal ones for others."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        uniform, normal = (
            build_model(name, 100).head.weight.detach() for name in ("resnet30", "resnet32")
        )
    assert float(uniform.std()) == pytest.approx(1 / 8 / 3**0.5, rel=0.02)
    assert float(uniform.abs().max()) <= 1 / 8
    assert float(normal.std()) == pytest.approx((2 / 64) ** 0.5, rel=0.02)


def test_shortcut_subsamples_and_pads_both_sides():
    block = Block(2, 4, stride=2).eval()
    for convolution in (block.conv1, block.conv2):
        torch.nn.init.zeros_(convolution.weight)
    x = torch.rand(1, 2, 4, 4)
    out = block(x)
    assert torch.equal(out[:, 1:3], x[:, :, ::2, ::2])
    assert not out[:, [0, 3]].any()


def test_cosine_head_scales_cosines():
    head = CosineHead(5, 3, scale=30.0)
    x = torch.randn(4, 5)
    cosines = torch.nn.functional.cosine_similarity(x[:, None], head.weight[None], dim=2)
    assert torch.allclose(head(x), 30 * cosines, atol=1e-5)
    assert torch.allclose(head.weight.norm(dim=1), torch.ones(3))


@pytest.mark.parametrize("head", ["linear", "cosine"])
def test_features_feed_the_head(head):
    model = build_model("resnet8", 4, 1, head, 30.0).eval()
    x = torch.rand(2, 1, 8, 8)
    assert model.features(x).shape == (2, 64)
    assert torch.equal(model(x), model.head(model.features(x)))


def test_torchvision_backbone():
    model = build_model("resnet50", 7).eval()
    with torch.no_grad():
        assert model.features(torch.rand(1, 3, 64, 64)).shape == (1, 2048)
        assert model(torch.rand(1, 3, 64, 64)).shape == (1, 7)


def test_unknown_model_names_the_closest():
    with pytest.raises(InputError, match="did you mean 'resnet32'"):
        build_model("resnet33", 10)
    assert "resnext50" in MODELS
