"""Read the items of anybody's dataset: their inputs, their targets and the classes.

Items and batches are pairs, longer tuples, or mappings with a label; code of the user's that fails
on them is reported with the sample.
"""

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset, default_collate

from landscape.errors import InputError
from landscape.subject.batch import named_samples

Collate = Callable[[list[Any]], Any]
_COMPARED = 16  # samples whose entries are compared with the labels listed
_LABELS = ("labels", "label", "label_ids", "targets", "target", "y")
_EXPECTED = "expected (input, label), or a mapping with 'labels'"
_ADVICE = (
    "Give the dataset a list 'targets' of class numbers where its targets are something else (all "
    "0 where there are no classes)"
)


class Failure(NamedTuple):
    """What a user's code raised, in a form that reading processes can send."""

    sentence: str
    trace: str

    @staticmethod
    def of(error: Exception, sentence: str) -> "Failure":
        """Take down an error that is being handled."""
        first = str(error).strip().partition("\n")[0]
        return Failure(f"{sentence} {type(error).__name__}: {first}", traceback.format_exc())

    def error(self) -> InputError:
        """Build the error; its note is where it was raised."""
        error = InputError(self.sentence)
        error.add_note(self.trace)
        return error


class Chosen(Dataset[tuple[int, Any]]):
    """Items of a dataset with their numbers, in a given order; failures in place of errors."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self._dataset, self._indices = dataset, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: int) -> tuple[int, Any]:
        number = self._indices[place]
        try:
            return number, self._dataset[number]
        except Exception as error:  # anything may go wrong in a user's dataset
            kind = type(self._dataset).__name__
            return number, Failure.of(error, f"item {number} of {kind} cannot be read:")

    def __getitems__(self, places: list[int]) -> list[tuple[int, Any]]:
        together = getattr(self._dataset, "__getitems__", None)
        if callable(together):
            numbers = [self._indices[place] for place in places]
            try:
                return list(zip(numbers, together(numbers), strict=True))
            except Exception:  # which of them failed is seen one by one
                pass
        return [self[place] for place in places]


def joined(collate: Collate | None, items: list[tuple[int, Any]]) -> Any:
    """Join numbered items to a batch; a failure in place of an error."""
    numbers = [number for number, _ in items]
    for _, item in items:
        if isinstance(item, Failure):
            return item
    try:
        return (collate or default_collate)([item for _, item in items])
    except Exception as error:  # anything may go wrong in a user's function
        return Failure.of(
            error,
            f"{named_samples(numbers)} cannot be joined to a batch; give the dataset a transform "
            "to tensors of one shape, or a loader with a collate_fn.",
        )


def parted(item: Any, inputs: int = 1, what: str = "a batch") -> tuple[Any, Any]:
    """Part an item or a batch into inputs and target.

    Args:
        item: a tuple, list or mapping.
        inputs: entries of a tuple that are inputs.
        what: it is, for messages.

    Raises:
        InputError: no target is found in it.
    """
    if isinstance(item, Mapping):
        name = next((n for n in _LABELS if n in item), None)
        if name is None:
            raise InputError(f"{what} holds {', '.join(map(str, item))} and no label; {_EXPECTED}")
        return {n: value for n, value in item.items() if n != name}, item[name]
    if isinstance(item, (tuple, list)) and len(item) > inputs:
        return item[0] if inputs == 1 else tuple(item[:inputs]), item[inputs]
    raise InputError(f"{what} is a {type(item).__name__}; {_EXPECTED}")


class Labelled:
    """A dataset's classes, and which entries of its items are inputs.

    Args:
        dataset: map-style.
        collate: joins samples, where items alone show no label.
        takes: tells whether the model is called with so many entries of an item, where several
            could be its label.

    Attributes:
        labels: (N,) int64, on the CPU: its ``targets`` or ``labels``, or read item by item.
        inputs: entries of an item, when it is a tuple, that are inputs.

    Raises:
        InputError: the labels are no integers of at least 0, or there is no sample; or which entry
            of the items is the label cannot be told.
    """

    def __init__(
        self,
        dataset: Any,
        collate: Collate | None = None,
        takes: Callable[[int], bool] = lambda _: True,
    ) -> None:
        if len(dataset) == 0:
            raise InputError("the dataset holds no sample; give labelled data to diagnose")
        self._dataset, self._collate, self.inputs = dataset, collate, 1
        self._first: Any = None
        found = _listed(dataset)
        listed = None if found is None else class_numbers(found, "the dataset's labels")
        self.inputs = self._count_inputs(listed, takes)
        if listed is None or not self._yields(listed):
            numbers = [self._number(place) for place in range(len(dataset))]
            listed = class_numbers(numbers, "the dataset's labels")
        self.labels = listed

    def _count_inputs(self, listed: Tensor | None, takes: Callable[[int], bool]) -> int:
        """Count the entries before the label: a number, as listed, after what the model takes."""
        item = self._item(0)
        if not isinstance(item, (tuple, list)) or len(item) < 3:
            return 1
        texts = (place for place, part in enumerate(item) if isinstance(part, str))
        before = range(1, next(texts, len(item)))  # a text is no input
        numbers = [place for place in before if _number(item[place]) is not None]
        if listed is not None:
            agreeing = [place for place in numbers if self._agrees(place, listed)]
            if not agreeing and 1 not in numbers:
                return 1
            numbers = agreeing or numbers
        if len(numbers) > 1:
            numbers = [place for place in numbers if takes(place)] or numbers
        if len(numbers) > 1:
            raise InputError(
                f"the entries {' and '.join(map(str, numbers))} of the items of "
                f"{type(self._dataset).__name__} are whole numbers, and either may be the class; "
                "give a dataset of (input, label), or one with a list 'targets' of its class "
                "numbers"
            )
        return numbers[0] if numbers else 1

    def _agrees(self, place: int, listed: Tensor) -> bool:
        count = len(listed)
        samples = torch.linspace(0, count - 1, min(_COMPARED, count)).long().tolist()
        return all(_number(self._item(n)[place]) == int(listed[n]) for n in samples)

    def _yields(self, listed: Tensor) -> bool:
        """Tell whether the items hold the labels listed, without a ``target_transform``."""
        places = {0, len(listed) // 2, len(listed) - 1}
        found = {place: _number(self._target(place)) for place in places}
        return all(n is None or n == int(listed[place]) for place, n in found.items())

    def _number(self, place: int) -> int:
        target = self._target(place)
        found = _number(target)
        if found is None:
            raise InputError(
                f"the label of item {place} is {target!r}; expected a class number. {_ADVICE}"
            )
        return found

    def _target(self, place: int) -> Any:
        what = f"item {place} of {type(self._dataset).__name__}"
        return parted(self._item(place), self.inputs, what)[1]

    def _item(self, place: int) -> Any:
        if place == 0 and self._first is not None:
            return self._first
        numbered = Chosen(self._dataset, [place])[0]
        found = numbered[1]
        if self._collate is not None and not _shows_label(found):
            found = joined(self._collate, [numbered])
        if isinstance(found, Failure):
            raise found.error()
        if place == 0:
            self._first = found
        return found


def class_names_of(dataset: Any) -> tuple[str, ...]:
    """Read the names a dataset gives its classes; empty where it gives none."""
    while isinstance(dataset, (Subset, DataLoader)):
        dataset = dataset.dataset
    names = getattr(dataset, "classes", ())
    features = getattr(dataset, "features", None)  # of a Hugging Face dataset
    if isinstance(features, Mapping):
        labels = [features[name] for name in _LABELS if name in features]
        names = getattr(labels[0], "names", ()) if labels else ()
    return tuple(str(n) for n in names) if isinstance(names, (list, tuple)) else ()


def without_column(targets: Any) -> Any:
    """Take class numbers (B, 1) as (B,)."""
    column = isinstance(targets, Tensor) and targets.dim() == 2 and targets.shape[1] == 1
    return targets[:, 0] if column and not targets.is_floating_point() else targets


def class_numbers(found: Any, what: str) -> Tensor:
    """Take classes (N,) or (N, 1) as int64 on the CPU.

    Raises:
        InputError: they are no whole numbers of at least 0.
    """
    try:
        labels = torch.as_tensor(found)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(
            f"{what} are {type(found[0]).__name__}s such as {found[0]!r}; classes are numbered "
            "from 0: give numbers, and the names as 'classes'"
        ) from None
    labels = without_column(labels)
    if labels.dim() != 1 or labels.is_floating_point() or labels.is_complex():
        raise InputError(
            f"{what} are {tuple(labels.shape)} of {labels.dtype}; expected one class number a "
            f"sample. {_ADVICE}"
        )
    if len(labels) and int(labels.min()) < 0:
        raise InputError(f"a label is {int(labels.min())}; classes are numbered from 0")
    return labels.long().cpu()


def _shows_label(item: Any) -> bool:
    if isinstance(item, Mapping):
        return any(name in item for name in _LABELS)
    return isinstance(item, (tuple, list, Failure)) and len(item) > 1


def _number(value: Any) -> int | None:
    """The class number that a label is; ``None`` for any other."""
    try:
        whole = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return None
    if whole.numel() != 1 or whole.is_floating_point() or whole.is_complex():
        return None
    return int(whole)


def _listed(dataset: Any) -> Any:
    if isinstance(dataset, Subset):
        inner = _listed(dataset.dataset)
        return None if inner is None else torch.as_tensor(inner)[list(dataset.indices)]
    columns = getattr(dataset, "column_names", ())  # of a Hugging Face dataset
    for name in _LABELS:
        if name in columns and hasattr(dataset, "select_columns"):
            return dataset.select_columns([name]).with_format(None)[:][name]
    for name in ("targets", "labels"):
        found = getattr(dataset, name, None)
        if isinstance(found, (Tensor, Sequence)) or hasattr(found, "__array__"):
            return found if len(found) == len(dataset) else None  # type: ignore[arg-type]
    if isinstance(dataset, TensorDataset):
        others = dataset.tensors[1:]
        classes = [t for t in others if _number(t[0]) is not None]
        return (classes or others)[0] if others and len(classes) < 2 else None
    return None
