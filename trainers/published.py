"""Where a run of a paper's system departs from the data and networks that the papers name.

No tensor library is imported here.
"""

from collections.abc import Sequence

from trainers.config import Plan
from trainers.data.longtail import longtail_counts

_IMBALANCES = (10, 50, 100, 200)
_POOL = {10: 5000, 100: 500}  # official training images of a class, CIFAR-10 and CIFAR-100
_LARGE = {
    1000: ("resnet50", "resnext50", "resnet10"),
    8142: ("resnet50",),
    365: ("resnet152",),
}
# parameters up to the penultimate features, of RGB images
_ENCODERS = {"resnet32": 463_504, "resnet30": 389_520}
_CLIP = {"hidden_size": 768, "num_hidden_layers": 12, "patch_size": 16}  # ViT-B/16
_BRANCH = 73_984  # parameters of the second last block of a bilateral network


def departures(plan: Plan, class_counts: Sequence[int], encoder_size: int) -> list[str]:
    """List, in sentences, what the papers name otherwise; nothing for digits or other methods.

    Args:
        plan: of the run.
        class_counts: training samples of each class (K,).
        encoder_size: parameters of the network up to the penultimate features.
    """
    system = plan.parsed.system
    if system is None or plan.data == "digits":
        return []
    return [*_of_subset(plan, class_counts), *_of_network(plan, len(class_counts), encoder_size)]


def _of_subset(plan: Plan, class_counts: Sequence[int]) -> list[str]:
    classes = len(class_counts)
    if classes in _LARGE and plan.imbalance == 1:
        return []
    pool = [_POOL.get(classes, 0)] * classes
    if (
        classes not in _POOL
        or plan.imbalance not in _IMBALANCES
        or longtail_counts(pool, plan.imbalance) != tuple(class_counts)
    ):
        named = ", ".join(map(str, _IMBALANCES))
        return [
            f"the subset of {sum(class_counts)} samples of {classes} classes is none that the "
            f"papers name: CIFAR-10 or CIFAR-100 at --imbalance {named} (exponential), "
            "ImageNet-LT, Places-LT or iNaturalist 2018"
        ]
    found = []
    if not plan.data.startswith("cifar"):
        found.append(
            "the subset is drawn from images in the order of their file names, that of the papers "
            f"from the official files; use --data cifar{classes}"
        )
    seed = plan.parsed.subset_seed
    if plan.subset_seed != seed:
        found.append(
            f"the subset is drawn with --subset-seed {plan.subset_seed}, that of "
            f"'{plan.method}' with {seed}"
        )
    return found


def _of_network(plan: Plan, classes: int, encoder_size: int) -> list[str]:
    if plan.vision is not None and plan.parsed.system_name == "focal-sam":
        differing = {n: v for n, v in plan.vision.items() if n in _CLIP and v != _CLIP[n]}
        listed = ", ".join(f"{name} {value}" for name, value in differing.items())
        return [f"the CLIP model has {listed}; the paper names ViT-B/16"] if differing else []
    named = _LARGE.get(classes, (plan.parsed.model or "resnet32",))
    expected = _ENCODERS.get(plan.model, encoder_size)
    if plan.parsed.words["sampler"] == "bilateral" and plan.model in _ENCODERS:
        expected += _BRANCH
    if plan.model in named and encoder_size == expected:
        return []
    sizes = [f"{name} ({_ENCODERS[name]:,})" if name in _ENCODERS else name for name in named]
    return [
        f"the network is {plan.model}, of {encoder_size:,} parameters up to its features; the "
        f"papers name {' or '.join(sizes)}"
    ]
