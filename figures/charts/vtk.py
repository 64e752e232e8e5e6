"""Write surfaces for ParaView and its like: a rectilinear grid in VTK's legacy text format."""

from collections.abc import Iterable, Mapping

from landscape.results.fields import Array

_A_LINE = 9  # numbers


def rectilinear_grid(title: str, x: Array, y: Array, fields: Mapping[str, Array]) -> str:
    """Write values on a plane as a legacy VTK file of version 3.0.

    Args:
        title: one line, of which VTK reads 255 characters.
        x: coordinates (X,).
        y: likewise (Y,).
        fields: values (Y, X) by their names, in which blanks become underscores; NaN is written as
            such.

    Returns:
        The text. VTK runs through x first, and so do the rows of the values.
    """
    lines = ["# vtk DataFile Version 3.0", title.replace("\n", " ")[:255], "ASCII"]
    lines += ["DATASET RECTILINEAR_GRID", f"DIMENSIONS {len(x)} {len(y)} 1"]
    for name, places in (("X", x), ("Y", y), ("Z", (0.0,))):
        lines += [f"{name}_COORDINATES {len(places)} double", *_numbers(places)]
    lines.append(f"POINT_DATA {len(x) * len(y)}")
    for name, values in fields.items():
        lines += [f"SCALARS {'_'.join(name.split())} double 1", "LOOKUP_TABLE default"]
        lines += _numbers(values.ravel())
    return "\n".join([*lines, ""])


def _numbers(values: Iterable[float]) -> list[str]:
    texts = [f"{float(value):.17g}" for value in values]
    return [" ".join(texts[at : at + _A_LINE]) for at in range(0, len(texts), _A_LINE)]
