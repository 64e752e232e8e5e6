"""Hold what a recorder saw of a training, as a record and as a table.

No tensor library is imported here.
"""

from dataclasses import dataclass

from landscape.results.fields import Array, axes
from landscape.results.result import Result
from landscape.results.table import Columns, numbers, words


@dataclass(frozen=True)
class Recording(Result):
    """Course of a training as a recorder saw it; T records, S scopes."""

    scope: Array = axes("scope")  # (S,) str
    step: Array = axes("record")  # (T,) calls of the recorder's step
    checkpoint: Array = axes("record")  # (T,) str, name of the record's files
    batch_loss: Array = axes("record")  # (T,) as the loop gave it; NaN where it did not
    learning_rate: Array = axes("record")  # (T,) η; NaN where it is not known
    edge: Array = axes("record")  # (T,) 1 + momentum of plain SGD; NaN for other optimisers
    lambda_max: Array = axes("record", "scope")  # (T, S)
    lambda_max_bound: Array = axes("record", "scope")
    lambda_min: Array = axes("record", "scope")
    lambda_min_bound: Array = axes("record", "scope")
    grad_norm: Array = axes("record", "scope")  # (T, S)
    conflicts: Array = axes("record")  # (T,) share of pairs of classes whose gradients oppose
    training_seconds: Array = axes("record")  # (T,) up to the record, without the recorder's
    recorder_seconds: Array = axes("record")  # (T,) likewise, the recorder's

    @property
    def stability(self) -> Array:
        """λmax η/2 of each record and scope (T, S); gradient descent is stable below the edge."""
        found: Array = self.lambda_max * self.learning_rate[:, None] / 2
        return found

    def table_columns(self) -> tuple[Columns, str]:
        """Choose the columns of the record's table, and a note."""
        columns = {
            "step": words(self.step),
            "loss": numbers(self.batch_loss),
            "η": numbers(self.learning_rate),
        }
        for s, scope in enumerate(self.scope):
            columns[f"λmax {scope}"] = numbers(self.lambda_max[:, s])
        columns["λmax η/2"] = numbers(self.stability[:, 0])
        columns["edge"] = numbers(self.edge)
        columns["conflicts"] = numbers(self.conflicts)
        return columns, self.cost

    @property
    def cost(self) -> str:
        """What the records took of the training time, in words."""
        own, training = float(self.recorder_seconds[-1]), float(self.training_seconds[-1])
        percent = 100 * own / training if training else 0
        digits = 0 if percent >= 10 else 2
        share = f" ({percent:,.{digits}f} %)" if training else ""
        return f"{len(self.step)} records took {own:.3g} s beside {training:.3g} s{share}"
