"""Hand out a scope's curvature matrix as an operator, for algorithms of one's own.

It is the matrix of the spectrum, known by its products; SciPy's solvers take it as it is.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from landscape.analyses.analysis import Call, Precision, precision
from landscape.analyses.spectrum import padded_ritz
from landscape.config import SpectrumConfig
from landscape.curvature.eigenpairs import Which, end_pairs
from landscape.curvature.lanczos import lanczos
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.operator_spectrum import basis_capacity
from landscape.curvature.products import Curvature
from landscape.curvature.sampling import sphere_starts
from landscape.curvature.trace import Trace, deflated_trace
from landscape.errors import InputError, Setting, unknown
from landscape.global_state import controlled_state
from landscape.groups import SplitName
from landscape.results.density import Density, smoothed_density
from landscape.results.eigenpairs import Eigenpairs
from landscape.subject.evaluation_copy import BatchNormMode
from landscape.subject.subject import Subject


def operator(
    subject: Subject,
    scope: str = "overall",
    curvature: Curvature = "hessian",
    *,
    parameters: str | Sequence[str] = ("*",),
    weight_decay: float = 0.0,
    split: SplitName | None = None,
    samples_per_class: int | None = None,
    dtype: Precision = None,
    bn: BatchNormMode = "eval",
    batch_size: int = 256,
    memory_budget: float = 4.0,
    seed: int = 0,
) -> "ScopeOperator":
    """Build the curvature operator of one scope, checked as a spectrum's is.

    The mean of w₁² and 4 w₂² has the Hessian diag(1, 4):

    >>> from landscape import Subject, TensorData
    >>> model = torch.nn.Linear(2, 1, bias=False).double()
    >>> data = TensorData(torch.diag(torch.tensor([1.0, 2.0])).double(), torch.tensor([0, 0]))
    >>> H = operator(Subject(model, data, lambda outputs, _: outputs[:, 0] ** 2))
    >>> H @ torch.eye(2).double()
    tensor([[1., 0.],
            [0., 4.]], dtype=torch.float64)
    >>> H.eigenpairs(1, "largest").value.round(6), round(H.trace().value, 6)
    (array([4.]), 5.0)

    Args:
        subject: model, data and loss.
        scope: ``overall``, ``head``, ``mid``, ``tail``, or one class such as ``class/3``.
        curvature: Hessian; Gauss-Newton; Fisher, in expectation over the model's own labels;
            empirical Fisher, of the labels given; Hessian minus Gauss-Newton.
        parameters: names or globs of the parameters the matrix is over.
        weight_decay: adds this times the identity.
        split: rule that defines head, mid and tail.
        samples_per_class: at most so many samples of a class; groups keep their true weighting.
        dtype: precision of the products. Default: the model's, single precision at least.
        bn: BatchNorm by its running statistics, or by those of each batch.
        batch_size: samples a forward pass.
        memory_budget: GiB for graphs that are kept, and for Krylov bases.
        seed: of the draw of samples, and of random vectors.

    Raises:
        InputError: a value is out of range, the scope has no samples, or there is no one matrix.
    """
    globs = (parameters,) if isinstance(parameters, str) else tuple(parameters)
    settings = SpectrumConfig(
        curvature=curvature,
        parameters=globs,
        weight_decay=weight_decay,
        memory_budget=memory_budget,
        probes=1,
    )
    given = {
        "subject": subject,
        "spectrum": settings,
        "scopes": (scope,),
        "split": split,
        "samples_per_class": samples_per_class,
        "dtype": dtype,
        "bn": bn,
        "batch_size": batch_size,
        "seed": seed,
    }
    with controlled_state():
        return ScopeOperator(Call.of("eigenpairs", given, None))


class ScopeOperator:
    """Curvature of one scope, as an operator; made by :func:`landscape.operator`.

    Attributes:
        size: number of parameters P.
        shape: (P, P).
        dtype: of products.
        device: of products.
        names: of the parameters, in the order in which they are flattened.
        scope: name of the scope.
    """

    def __init__(self, call: Call) -> None:
        config, subject = call.config, call.subject
        resolved = subject.scopes(config.scopes, config.split)
        if len(resolved) != 1:
            names = ", ".join(scope.name for scope in resolved) or "none"
            raise InputError(
                f"an operator is of one scope, and '{config.scopes[0]}' stands for {names}; "
                "name one, such as class/3"
            )
        selection = subject.select(resolved[0], config.samples_per_class, config.seed)
        if config.bn == "batch":
            selection = subject.mixed(selection, config.seed)
        own, self._call = config.spectrum, call
        self._operator = CurvatureOperator(
            subject,
            selection,
            curvature=own.curvature,
            parameters=own.parameters,
            weight_decay=own.weight_decay,
            dtype=precision(call.arguments["dtype"], subject),
            bn=config.bn,
            batch_size=config.batch_size,
            memory_budget=own.memory_budget,
        )
        self._operator.check_deterministic()
        self.scope, self.names = resolved[0].name, self._operator.names
        self.size, self.dtype = self._operator.size, self._operator.dtype
        self.device, self.shape = self._operator.device, (self.size, self.size)

    def matmat(self, vectors: Tensor) -> Tensor:
        """Multiply the matrix with ``vectors`` (P, k), in the operator's dtype and device."""
        return self._operator.matmat(vectors)

    def fresh_matmat(self, vectors: Tensor) -> Tensor:
        """Multiply again from the data, with nothing kept from earlier products."""
        return self._operator.fresh_matmat(vectors)

    def __matmul__(self, vectors: Tensor) -> Tensor:
        """Multiply the matrix with one vector (P,) or several (P, k)."""
        alone = vectors.dim() == 1
        found = self.matmat(vectors[:, None] if alone else vectors)
        return found[:, 0] if alone else found

    def to_scipy(self) -> LinearOperator:
        """Wrap as a :class:`scipy.sparse.linalg.LinearOperator` of NumPy arrays on the host."""

        def product(arrays: np.ndarray) -> np.ndarray:
            given = torch.as_tensor(np.ascontiguousarray(arrays))
            columns = given.reshape(self.size, -1).to(self.device, self.dtype)
            return self.matmat(columns).cpu().numpy().reshape(arrays.shape)

        kind = np.dtype(str(self.dtype).removeprefix("torch."))
        return LinearOperator(
            self.shape, matvec=product, matmat=product, rmatvec=product, rmatmat=product, dtype=kind
        )

    def eigenpairs(
        self,
        k: int = 1,
        which: Which = "both",
        *,
        steps: int = 200,
        tolerance: float = 1e-3,
        seed: int | None = None,
    ) -> Eigenpairs:
        """Compute the k outermost eigenpairs of one end, or of both, with error bounds.

        An eigenvalue of multiplicity m is listed m times. Write them, with the vectors, by
        ``save(path, vectors=True)``.

        Args:
            k: pairs of an end.
            which: ``both`` ends, ``largest`` or ``smallest`` values; by sign, not by magnitude.
            steps: Lanczos steps of a run, at most; every run finds each distinct eigenvalue once.
            tolerance: of the bounds, as a share of the largest absolute value.
            seed: of the starts. Default: the operator's.

        Raises:
            InputError: k, steps or the tolerance are out of range.
        """
        if which not in ("both", "largest", "smallest"):
            raise unknown("which", str(which), ("both", "largest", "smallest"))
        if not (k >= 1 and steps >= 1 and tolerance > 0):
            raise InputError(
                f"k is {k}, steps {steps} and tolerance {tolerance}; k and steps must be at least "
                "1, and the tolerance above 0"
            )
        config = replace(self._call.config.spectrum, steps=steps)
        with controlled_state():
            found = end_pairs(
                self._operator,
                min(k, self.size),
                which,
                self._generator(seed),
                steps=steps,
                tolerance=tolerance,
                capacity=max(basis_capacity(self._operator, config), 8 * k),
            )
        allowed = tolerance * float(found.values.abs().max())
        sizes = [p.numel() for p in self._operator.parameters]
        record = Eigenpairs(
            found.values.numpy(),
            found.residuals.numpy(),
            found.bounds.numpy(),
            (found.bounds <= allowed).numpy(),
            np.array(found.beyond[0]),
            np.array(found.beyond[1]),
            np.array(self.names),
            np.array(sizes),
            found.vectors.T.cpu().numpy(),
        )
        return self._call.finished(record)

    def trace(self, probes: int = 20, *, steps: int = 20, seed: int | None = None) -> Trace:
        """Estimate the trace: exact on a Krylov space, by random vectors on the rest (Hutch++).

        Args:
            probes: random vectors, at least 2.
            steps: Lanczos steps of the space.
            seed: of the vectors. Default: the operator's.

        Returns:
            Value and standard error ``sem``, which is 0 where the space is everything.

        Raises:
            InputError: fewer than two probes, which have no standard error.
        """
        if probes < 2 or steps < 1:
            raise InputError(
                Setting("spectrum.trace_probes", "probes"),
                f" is {probes} and steps {steps}; at least 2 and 1 are needed",
            )
        generator = self._generator(seed)
        with controlled_state():
            start = sphere_starts(self._operator, 1, generator)
            (krylov,) = lanczos(self._operator, start, steps)
            return deflated_trace(self._operator, krylov, probes, generator)

    def density(self, probes: int = 2, *, steps: int = 60, seed: int | None = None) -> Density:
        """Estimate the spectral density by stochastic Lanczos quadrature.

        Args:
            probes: random starts; the band is their spread.
            steps: Lanczos steps of each.
            seed: of the starts. Default: the operator's.

        Returns:
            The density on a grid, smoothed with a thousandth of the spectrum's width and some.

        Raises:
            InputError: no probe or no step.
        """
        if probes < 1 or steps < 1:
            raise InputError(f"probes are {probes} and steps {steps}; at least 1 is needed of each")
        with controlled_state():
            starts = sphere_starts(self._operator, probes, self._generator(seed))
            runs = lanczos(self._operator, starts, steps)
        values, weights = padded_ritz([[run.quadrature for run in runs]])
        return smoothed_density(values[0], weights[0])

    def _generator(self, seed: int | None) -> torch.Generator:
        return torch.Generator().manual_seed(self._call.config.seed if seed is None else seed)
