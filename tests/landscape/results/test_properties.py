"""What holds for every value a record may have, looked for by hypothesis."""

import math
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from landscape.results.density import cumulative_density, share_bounds, smoothed_density
from landscape.results.fields import Array, axes
from landscape.results.hdf5 import read_array, save
from landscape.results.table import bracket, with_error
from tests.figures.run_records import plan, provenance

SETTINGS = settings(max_examples=60, deadline=None, derandomize=True)
SIZES = st.integers(0, 5)
ANY = st.floats(allow_nan=True, allow_infinity=True, width=64)
FINITE = st.floats(-1e12, 1e12).filter(lambda x: x == 0 or abs(x) > 1e-12)
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)


@dataclass(frozen=True)
class Record:
    """Datasets of every kind that records have."""

    name: Array = axes("row")
    value: Array = axes("row", "column", path="group/value")
    count: Array = axes("row")
    flag: Array = axes()


@SETTINGS
@given(st.data(), SIZES, SIZES)
def test_what_is_stored_is_read_again(data, rows, columns):
    record = Record(
        np.array(data.draw(st.lists(TEXT, min_size=rows, max_size=rows)), dtype=str),
        data.draw(arrays.arrays(np.float64, (rows, columns), elements=ANY)),
        data.draw(arrays.arrays(np.int64, (rows,))),
        np.array(data.draw(st.booleans())),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deeper" / "record.h5"
        save(record, provenance("spectrum", "epoch_0001", "run", plan("ce")), path)
        assert [p.name for p in path.parent.iterdir()] == ["record.h5"]
        with h5py.File(path) as file:
            assert read_array(file["name"]).tolist() == record.name.tolist()
            assert read_array(file["group/value"]).tobytes() == record.value.tobytes()
            assert read_array(file["count"]).tolist() == record.count.tolist()
            assert bool(read_array(file["flag"])) == bool(record.flag)


@SETTINGS
@given(FINITE, FINITE)
def test_a_bracket_is_rounded_outwards(a, b):
    low, high = min(a, b), max(a, b)
    least, most = map(float, bracket(low, high).split(" … "))
    assert least <= low <= high <= most
    for shown, value in ((least, low), (most, high)):
        assert abs(shown - value) <= 0.0101 * abs(value)


@SETTINGS
@given(FINITE, st.floats(1e-9, 1e6))
def test_a_value_and_its_error_end_at_the_same_place(value, error):
    text = with_error(value, error)
    if "±" not in text:
        assert error < 5e-6 * abs(value)
        assert math.isclose(float(text), value, rel_tol=1e-5)
        return
    scale = float(f"1{text[text.index(')') + 1 :]}") if text.startswith("(") else 1.0
    shown = re.findall(r"-?[0-9.]+", text.split(")")[0])
    places = {len(part.partition(".")[2]) for part in shown}
    assert len(places) == 1
    assert abs(float(shown[0]) * scale - value) <= 0.06 * error + 0.5
    assert abs(float(shown[1]) * scale - error) <= 0.06 * error + 0.5


@st.composite
def quadratures(draw):
    probes, steps = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    nodes = arrays.arrays(np.float64, (probes, steps), elements=st.floats(-1e3, 1e3))
    shares = arrays.arrays(np.float64, (probes, steps), elements=st.floats(0.01, 1))
    values, weights = np.sort(draw(nodes), axis=1), draw(shares)
    weights /= weights.sum(axis=1, keepdims=True)
    cut = draw(st.integers(1, steps))
    values[-1, cut:], weights[-1, cut:] = np.nan, np.nan
    weights[-1, :cut] /= weights[-1, :cut].sum()
    return values, weights


@SETTINGS
@given(quadratures(), st.integers(10, 10**9), st.floats(0, 10))
def test_shares_grow_and_stay_within_their_bounds(drawn, size, rounding):
    values, weights = drawn
    grid = np.linspace(-1100, 1100, 57)
    mean, least, most = cumulative_density(values, weights, grid)
    low, high = share_bounds(values, weights, grid, size, rounding=rounding)
    for curve in (mean, least, most, low, high):
        assert (np.diff(curve) >= -1e-12).all()
        assert (curve >= -1e-12).all()
        assert (curve <= 1 + 1e-12).all()
    assert (least <= mean + 1e-12).all()
    assert (mean <= most + 1e-12).all()
    wider = share_bounds(values, weights, grid, size, rounding=rounding, confidence=0.999)
    assert (wider[0] <= low).all()
    assert (wider[1] >= high).all()


@SETTINGS
@given(quadratures())
@example((np.array([[2.3e-313]]), np.array([[1.0]])))
def test_a_density_has_mass_one(drawn):
    found = smoothed_density(*drawn)
    assert math.isclose(np.trapezoid(found.mean, found.grid), 1, abs_tol=5e-3)
    rounding = 1e-12 * found.mean.max()
    assert (found.low <= found.mean + rounding).all()
    assert (found.mean <= found.high + rounding).all()
