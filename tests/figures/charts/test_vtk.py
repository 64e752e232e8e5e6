"""Surfaces for ParaView: read back by a parser of the legacy format."""

import numpy as np

from figures.charts.vtk import rectilinear_grid
from figures.kinds import surface
from figures.request import Request
from tests.figures.records import provenance, saved_run, surface_record


def parsed(text):
    """Coordinates and scalars of a legacy VTK file of a rectilinear grid."""
    lines = text.splitlines()
    assert lines[0] == "# vtk DataFile Version 3.0"
    assert lines[2:4] == ["ASCII", "DATASET RECTILINEAR_GRID"]
    words = " ".join(lines[4:]).split()
    assert words.pop(0) == "DIMENSIONS"
    shape = [int(words.pop(0)) for _ in range(3)]
    found = {}
    for axis, count in zip("XYZ", shape, strict=True):
        assert [words.pop(0) for _ in range(3)] == [f"{axis}_COORDINATES", str(count), "double"]
        found[axis] = np.array([float(words.pop(0)) for _ in range(count)])
    assert [words.pop(0), words.pop(0)] == ["POINT_DATA", str(np.prod(shape))]
    while words:
        assert words.pop(0) == "SCALARS"
        name, kind, parts = (words.pop(0) for _ in range(3))
        assert (kind, parts) == ("double", "1")
        assert [words.pop(0), words.pop(0)] == ["LOOKUP_TABLE", "default"]
        values = np.array([float(words.pop(0)) for _ in range(np.prod(shape))])
        found[name] = values.reshape(shape[1], shape[0])  # x runs first
    return found


def test_a_grid_is_read_back():
    x, y = np.array([-1.0, 0.1, 2.0]), np.array([0.0, 1 / 3])
    values = np.array([[1.0, 2.0, np.nan], [4.0, 1e-300, -6.5]])
    found = parsed(rectilinear_grid("a\ntitle", x, y, {"tail loss": values}))
    assert found["X"].tolist() == x.tolist()
    assert found["Y"].tolist() == y.tolist()
    assert found["Z"].tolist() == [0]
    np.testing.assert_array_equal(found["tail_loss"], values)


def test_a_surface_figure_has_its_grid(tmp_path):
    record = surface_record(points=(5, 4))
    run = saved_run(tmp_path / "run", (record, provenance("surface", run="run")))
    tables = surface.read(Request((run,), scopes=("overall", "class/9"))).tables()
    found = parsed(tables["vtk"])
    np.testing.assert_array_equal(found["class_9_loss"], record.scope_loss("class/9"))
    np.testing.assert_array_equal(
        found["overall_accuracy_%"], 100 * record.scope_accuracy("overall")
    )
    again = saved_run(tmp_path / "again", (record, provenance("surface", method="ce+sam")))
    assert set(surface.read(Request((run, again))).tables()) == {"ce.vtk", "ce+sam.vtk"}
