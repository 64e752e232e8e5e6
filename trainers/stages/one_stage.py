"""The whole network from the first epoch to the last."""

from trainers.config import Plan
from trainers.stages.stage import Stage, first_stage


def one_stage(plan: Plan) -> tuple[Stage, ...]:
    """Train once."""
    return (first_stage(plan),)
