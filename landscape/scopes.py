"""The scopes of an analysis: those asked for, or the default ones that have samples."""

from collections.abc import Sequence

from landscape.config import DiagnoseConfig
from landscape.groups import SplitName
from landscape.subject.subject import Scope, Subject


def asked_scopes(
    subject: Subject, names: Sequence[str], split: SplitName | None = None
) -> tuple[Scope, ...]:
    """Resolve scope names, see :meth:`landscape.subject.subject.Subject.scopes`.

    The default list leaves out what has no samples, such as the head of a training on the tail
    alone. Scopes that a person names stay, and are refused where they are selected.

    Args:
        subject: what is diagnosed.
        names: of the scopes.
        split: that defines the groups.

    Raises:
        InputError: a name is not known.
    """
    found = subject.scopes(names, split)
    if tuple(names) != DiagnoseConfig.scopes:
        return found
    present = set(subject.data.labels.unique().tolist())
    return tuple(scope for scope in found if present.intersection(scope.classes))
