"""A stage of training: its epochs, rule, sampler and trained parameters."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict, cast

from torch import Tensor

from landscape.errors import InputError
from trainers.config import Plan
from trainers.data.samplers import SamplerName
from trainers.losses.cross_entropy import cross_entropy
from trainers.losses.loss import ClassifierLoss
from trainers.models.network import Network
from trainers.recipes import Recipe
from trainers.rules.rule import Rule
from trainers.rules.sgd import SGD

Start = Literal["last", "best"]
Statistics = Literal["frozen", "batch"]


@dataclass(frozen=True)
class Stage:
    """Describe a stage: epochs with one rule, one sampler and one set of trained parameters.

    Args:
        recipe: epochs, batch size and learning rate.
        rule: of its gradients.
        whole: trains the network by the method's own loss, weighting, transform and regulariser;
            otherwise the classifier alone, by ``loss``.
        sampler: order of the samples.
        paired: order of a second batch that is trained on beside each, of a network of two
            branches.
        start: epoch of the stage before from whose weights it starts.
        statistics: whether BatchNorm's running statistics stand still.
        initialise: whether the classifier is drawn anew.
        prepare: changes the network when the stage begins.
        loss: from training counts to the loss of a classifier that is trained alone.
        mixed: whether the method's transform is applied where the classifier is trained alone.
        trained: of a classifier with a scale for each class, what is trained.
        head_rate: learning rate of the classifier, as a share of that of its scales.
    """

    recipe: Recipe
    rule: Rule
    whole: bool
    sampler: SamplerName
    paired: SamplerName | None = None
    start: Start = "last"
    statistics: Statistics = "batch"
    initialise: Literal["anew", "kept"] = "kept"
    prepare: Callable[[Network], None] | None = None
    loss: Callable[[Tensor], ClassifierLoss] = cross_entropy
    mixed: bool = False
    trained: Literal["head", "scale", "both"] = "head"
    head_rate: float = 1.0


class SecondStage(TypedDict):
    """Hold the settings of every second stage that trains a classifier."""

    stage_epochs: float  # as a share of the first stage's
    stage_lr: float  # at first, as a share of the recipe's
    start: Start  # epoch of the first stage from whose weights the second starts
    statistics: Statistics  # whether BatchNorm's running statistics stand still


def _rule_in(plan: Plan, stage: Literal["first", "second"]) -> Rule | None:
    """Build the method's rule if it acts in a stage; most act in the first."""
    settings = plan.settings["rule"]
    if settings.get("stage", "first") not in (stage, "both"):
        return None
    rule: Rule = plan.parsed.parts["rule"].build(**settings)
    return rule


def first_stage(plan: Plan) -> Stage:
    """Build the stage that trains the whole network by the method's loss and rule."""
    rule = _rule_in(plan, "first") or SGD()
    word = plan.parsed.words["sampler"] or "instance"
    if word == "bilateral":
        return Stage(plan.recipe, rule, whole=True, sampler="instance", paired="reversed")
    return Stage(plan.recipe, rule, whole=True, sampler=cast(SamplerName, word))


def two_stages(
    plan: Plan,
    rule: Rule | None = None,
    *,
    stage_epochs: float,
    stage_lr: float,
    schedule: Literal["step", "cosine"] = "step",
    **further: Any,
) -> tuple[Stage, Stage]:
    """Build the stage of the whole network, and one of the classifier on class-balanced batches.

    Args:
        plan: of the run.
        rule: of the second stage, unless the method has one for it.
        stage_epochs: see :class:`SecondStage`, as for ``stage_lr``.
        stage_lr: learning rate of the second stage.
        schedule: ``step`` keeps its rate, ``cosine`` lets it fall along a half cosine to zero.
        further: values of the second :class:`Stage`.

    Raises:
        InputError: both the second stage and the method have a rule for it.
    """
    own = _rule_in(plan, "second")
    if own is not None and rule is not None:
        raise InputError(
            f"the second stage of '{plan.method}' has a rule of its own; set rule.stage=first"
        )
    recipe = replace(
        plan.recipe,
        epochs=second_epochs(plan.recipe, stage_epochs),
        lr=stage_lr * plan.recipe.lr,
        schedule=schedule,
        warmup_epochs=0,
        milestones=(),
        factors=(),
        drop_last=False,
    )
    second = Stage(recipe, own or rule or SGD(), whole=False, sampler="balanced")
    return first_stage(plan), replace(second, **further)


def second_epochs(recipe: Recipe, stage_epochs: float) -> int:
    """Return the number of epochs of a second stage, at least one."""
    return max(1, round(stage_epochs * recipe.epochs))
