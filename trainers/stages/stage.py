"""A stage of training: its epochs, rule, sampler and trained parameters."""

from dataclasses import dataclass, replace
from typing import Literal, cast

from trainers.config import Plan
from trainers.data.samplers import SamplerName
from trainers.recipes import Recipe
from trainers.rules.rule import Rule

Start = Literal["last", "best"]
Statistics = Literal["frozen", "batch"]


@dataclass(frozen=True)
class Stage:
    """Describe a stage: epochs with one rule, one sampler and one set of trained parameters.

    Args:
        recipe: epochs, batch size and learning rate.
        rule: of its gradients.
        whole: trains the network by the method's own loss, weighting, transform and regulariser;
            otherwise the classifier alone, by plain cross-entropy.
        sampler: order of the samples.
        start: epoch of the stage before from whose weights it starts.
        statistics: whether BatchNorm's running statistics stand still.
        initialise: whether the classifier is drawn anew.
    """

    recipe: Recipe
    rule: Rule
    whole: bool
    sampler: SamplerName
    start: Start = "last"
    statistics: Statistics = "batch"
    initialise: Literal["anew", "kept"] = "kept"


def first_stage(plan: Plan) -> Stage:
    """Build the stage that trains the whole network by the method's loss and rule."""
    rule = plan.parsed.parts["rule"].build(**plan.settings["rule"])
    sampler = cast(SamplerName, plan.parsed.words["sampler"] or "instance")
    return Stage(plan.recipe, rule, whole=True, sampler=sampler)


def classifier_stage(plan: Plan, rule: Rule, *, stage_epochs: float, stage_lr: float) -> Stage:
    """Build the stage that trains the classifier alone, on class-balanced batches.

    Args:
        plan: of the run.
        rule: of the stage.
        stage_epochs: epochs as a share of the first stage's.
        stage_lr: learning rate as a share of the recipe's.
    """
    recipe = replace(
        plan.recipe,
        epochs=second_epochs(plan.recipe, stage_epochs),
        lr=stage_lr * plan.recipe.lr,
        schedule="step",
        warmup_epochs=0,
        milestones=(),
        factors=(),
        drop_last=False,
    )
    return Stage(recipe, rule, whole=False, sampler="balanced")


def second_epochs(recipe: Recipe, stage_epochs: float) -> int:
    """Return the number of epochs of a second stage, at least one."""
    return max(1, round(stage_epochs * recipe.epochs))
