"""One stage: the whole network from the first epoch to the last."""

from trainers.config import Plan
from trainers.stages.stage import Stage, first_stage


def one_stage(plan: Plan) -> tuple[Stage, ...]:
    """Train the whole network in one stage."""
    return (first_stage(plan),)
