"""What every method keeps: it learns, stays finite, and a stopped run goes on bit for bit."""

import math

import pytest
import torch
from torch import nn

from tests.oracles import objective_of, toy_data
from trainers.config import TrainConfig
from trainers.methods.grammar import (
    KINDS,
    LOSSES,
    REGULARISERS,
    RULES,
    STAGES,
    TRANSFORMS,
    parse_method,
)
from trainers.methods.systems import SYSTEMS
from trainers.models.catalogue import build_model
from trainers.rules.perturbation import frozen_statistics
from trainers.runs.checkpoint import load_checkpoint
from trainers.testing import EPOCHS, check_method, check_rule
from trainers.training import train

VARIED = [
    f"{base}@{variant}"
    for base, part in (
        *((loss, LOSSES[loss]) for loss in LOSSES),
        *((f"ce+{rule}", RULES[rule]) for rule in RULES),
        *((f"ce-{stage}", STAGES[stage]) for stage in STAGES if stage),
        *((f"ce-{transform}", TRANSFORMS[transform]) for transform in TRANSFORMS if transform),
        *((f"bcl+{name}", REGULARISERS[name]) for name in REGULARISERS if name),
    )
    for variant in part.variants
]
METHODS = [
    *LOSSES,
    "ce-drw",
    "ce-cb",
    "ce-drw@paper",
    "ce-balanced",
    "ce-reversed",
    "ce-sqrt",
    "ce-mixup",
    "crt",
    "ce-autoaugment-mixup",
    *(f"ce-{stage}" for stage in STAGES if stage),
    *(f"ce+{rule}" for rule in RULES if rule != "sgd"),
    "bcl+gkp",
    *("ce+swa", "ce+sn", "ce+swa+sam"),
    *SYSTEMS,
    *(f"{name}@released" for name in SYSTEMS),
    *VARIED,
]
# words that stand above one by one, put together
COMPOSED = [
    *(f"{loss}-drw" for loss in LOSSES if loss != "ce"),
    *("bcl-mixup", "paco-mixup", "bcl-m2m", "ldam-crt", "ldam-lws"),
    *("ldam-drw+sam", "ldam-drw+plot", "la+plot", "bcl+plot"),
    *(f"{name}+plot" for name in ("mislas", "gcl", "m2m", "bbn", "paco")),
    *(f"bbn+{word}" for word in ("sam", "cc-sam", "gsa", "lpf-sgd", "swa")),
    *("paco+sam", "paco+lpf-sgd", "mislas+cc-sam"),
]
BY_DEFAULT = {"ldam-drw", "ldam-drw+sam", "ldam-crt", "bcl-m2m", "bbn+plot", "paco+sam"}
# each rule, stage, loss of several views and regulariser once
BFLOAT16 = [
    *(f"ce+{rule}" for rule in RULES if rule != "sgd"),
    *(f"ce-{stage}" for stage in STAGES if stage),
    "ldam-drw",
    "ce-mixup",
    "bcl+gkp",
    *("mislas", "gcl", "m2m", "bbn", "paco", "ib"),
]
# of them, one of each kind of arithmetic
BFLOAT16_BY_DEFAULT = {"ce+sam", "ce+gsa", "ce+cagrad", "ce+plot", "ldam-drw", "bcl+gkp", "mislas"}
TWO_STAGES = {
    method for method in (*METHODS, *COMPOSED, *BFLOAT16) if parse_method(method).words["stages"]
}
WITH_LENGTH = {m for m in TWO_STAGES if "stage_epochs" in parse_method(m).settings()["stages"]}


def config(out, method, **given):
    return TrainConfig(
        **given,
        method=method,
        epochs=EPOCHS,
        imbalance=20,
        device="cpu",
        eval_every=2,
        settings=("stage_epochs=0.6",) if method in WITH_LENGTH else (),
        out=out,
    )


def precisions():
    """Bases in float32, and one of each kind in bfloat16; the other pairs are slow."""
    variants = {*VARIED, *(f"{name}@released" for name in SYSTEMS)}
    for method in dict.fromkeys((*METHODS, *COMPOSED)):
        slow = method in variants or (method in COMPOSED and method not in BY_DEFAULT)
        yield pytest.param(method, "float32", marks=[pytest.mark.slow] if slow else [])
    for method in dict.fromkeys((*BFLOAT16, *sorted(variants))):
        slow = method not in BFLOAT16_BY_DEFAULT
        yield pytest.param(method, "bfloat16", marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize(("method", "precision"), list(precisions()))
def test_learns_and_resumes_bitwise(tmp_path, method, precision):
    folder = check_method(method, tmp_path, precision=precision)
    state = load_checkpoint(folder.last)
    carried = [v for values in state["optimizer"]["state"].values() for v in values.values()]
    tensors = [*state["model"].values(), *carried]
    assert {t.dtype for t in tensors if t is not None} <= {torch.float32, torch.int64}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute")  # PyTorch's compiler looks at it
@pytest.mark.parametrize("method", ["ce", "ce+sam", "ce+cagrad", "ce-mixup+plot"])
def test_learns_and_resumes_bitwise_compiled(tmp_path, method):
    check_method(method, tmp_path, compile=True)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("variant", ["", "released"])
def test_batches_that_lack_classes_or_hold_one_sample_of_them(rule, variant):
    """Class 3 has a single training sample; the last batch is of one class."""
    check_rule(RULES[rule], variant)


@pytest.mark.parametrize(
    "method",
    [
        *LOSSES,
        *(f"ce-{word}" for table in (STAGES, TRANSFORMS) for word in table if word),
        *("bbn", "mislas", "gcl", "ce+swa", "ce+sn"),
    ],
)
@pytest.mark.parametrize("given", [{"imbalance": 120}, {"imbalance": 20, "classes": ("tail",)}])
def test_trainings_that_lack_classes_or_have_one_sample_of_them(tmp_path, method, given):
    """Of an imbalance of 120 the last class has a single sample; of the tail, others have none."""
    found = train(
        TrainConfig(method=method, epochs=3, device="cpu", batch_size=16, out=tmp_path, **given)
    )
    assert all(math.isfinite(entry["train_loss"]) for entry in found.folder.metrics())


# forward passes of the first stage and of the last one in a step, and those of them that update
# running statistics
ONE_PASS = ("sgd", "pgd", "lpf-sgd", "mgda", "epo", "cagrad", "pcgrad", "cc-sam")
TWO_UPDATES = ("sam", "asam", "imbsam", "focal-sam", "gp", "mp")
PASSES = {
    **dict.fromkeys(ONE_PASS, ([1, 1], [1, 1])),
    **dict.fromkeys(TWO_UPDATES, ([2, 2], [2, 2])),
    "fsam": ([2, 2], [1, 1]),
    "gsa": ([3, 3], [1, 1]),  # one a group, of which there are two
    "plot": ([1, 2], [1, 2]),
}


def passes_and_updates(rule, **settings):
    part = RULES[rule]
    model = build_model("resnet8", 3, 1).train()
    data = toy_data((1, 8, 8), (6, 4, 3))
    data = type(data)(data.inputs.float(), data.labels)
    objective = objective_of(
        model,
        data,
        class_counts=torch.tensor([40, 20, 8]),
        groups=torch.tensor([0, 1, 1]),
        epochs=10,
    )
    norms, passes = (model.bn1, model.layer3[0].bn1), [0, 0]

    def counted(place):
        def hook(*_):
            passes[place] += 1

        return hook

    for place, norm in enumerate(norms):
        norm.register_forward_hook(counted(place))
    part.build(**part.resolved("") | settings)(objective)
    assert all(m.track_running_stats for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    return passes, [int(norm.num_batches_tracked) for norm in norms]


@pytest.mark.parametrize("rule", RULES)
def test_batchnorm_policy_is_as_stated(rule):
    assert passes_and_updates(rule) == PASSES[rule]


@pytest.mark.parametrize("rule", [r for r in RULES if "bn_update" in RULES[r].settings])
def test_batchnorm_policy_can_be_chosen(rule):
    passes, _ = PASSES[rule]
    assert passes_and_updates(rule, bn_update="both") == (passes, passes)
    assert passes_and_updates(rule, bn_update="first") == (passes, [1, 1])


def test_frozen_statistics_stand_still_and_go_on():
    norm, inputs = nn.BatchNorm1d(2).train(), torch.tensor([[1.0, 5.0], [3.0, 9.0]])
    expected = norm(inputs)
    before = [value.clone() for value in norm.buffers()]
    with frozen_statistics(norm):
        assert torch.equal(norm(inputs), expected)
    assert all(map(torch.equal, before, norm.buffers()))
    norm(inputs)
    assert not any(map(torch.equal, before, norm.buffers()))


def test_second_stage_moves_the_classifier_only(tmp_path):
    for method, statistics in (("crt", "frozen"), ("cc-sam@released", "batch")):
        folder = train(config(tmp_path / statistics, method)).folder
        start = load_checkpoint(folder.checkpoint(f"epoch_{EPOCHS:04d}"))["model"]
        end = load_checkpoint(folder.checkpoint(f"epoch_{EPOCHS + 2:04d}"))["model"]
        moved = {key for key in start if not torch.equal(start[key], end[key])}
        assert {"head.weight", "head.bias"} <= moved
        running = {key for key in moved if "running" in key or "batches" in key}
        if statistics == "frozen":
            assert moved == {"head.weight", "head.bias"}
        else:
            assert running


def test_every_word_of_the_table_is_trained_here():
    seen = [parse_method(method).words for method in METHODS]
    for kind, table in KINDS.items():
        assert {words[kind] for words in seen} == set(table), kind
