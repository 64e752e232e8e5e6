"""Write docs/methods.md: the sentence and the recipe of every row that the five papers ran.

python docs/methods.py. Rows that a paper copied from another are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).with_suffix(".md")
_HEAD = """# The papers' tables

Every row that the authors of the five papers trained themselves, as options of `tailscape train`;
rows copied from other papers are left out. `tailscape show method NAME` prints the settings of a
method and their sources, `tailscape list recipes` the recipes. Written by `python docs/methods.py`.
"""


@dataclass(frozen=True)
class Row:
    """Name what a row of a table is, in the words of ``tailscape train``."""

    paper: str
    table: str
    data: str
    row: str
    method: str
    recipes: tuple[str, ...]  # one for each of the data
    options: str = ""


_CIFAR = "CIFAR-10-LT, CIFAR-100-LT"
_LARGE = {"imagenet": "ImageNet-LT", "inat": "iNaturalist 2018", "places": "Places-LT"}
_SAMS = {"": "", "+SAM": "+sam", "+ImbSAM": "+imbsam", "+CC-SAM": "+cc-sam"}
_SAMS |= {"+Focal-SAM": "+focal-sam"}
_LOSSES = {"CE": "ce", "LDAM+DRW": "ldam-drw", "LA": "la", "VS": "vs"}
_CLIP = "--model clip:openai/clip-vit-base-patch16"
_TUNINGS = {"FFT": ("clip-full", f"{_CLIP} --tuning full"), "LIFT": ("clip", _CLIP)}
_PLOT_BASES = {
    "cRT + Mixup": ("crt-mixup", "d"),
    "LDAM-DRW": ("ldam-drw", "d"),
    "M2m": ("m2m", "d"),
    "MiSLAS": ("mislas", "mislas"),
    "GCL": ("gcl", "gcl"),
}
_MOO = {"EPO": "epo", "MGDA": "mgda", "CAGrad": "cagrad"}


def rows() -> Iterator[Row]:
    """List the rows, paper by paper."""
    yield from _saddle()
    yield from _cc_sam()
    yield from _plot()
    yield from _focal_sam()
    yield from _gkp_gsa()


def _saddle() -> Iterator[Row]:
    paper = "Saddle-LongTail"
    bases = {"CE": "ce", "CE + DRW": "ce-drw", "LDAM + DRW": "ldam-drw", "VS": "vs"}
    for table, options in (("1", ""), ("2", "--imbalance-type step")):
        for name, method in bases.items():
            yield Row(paper, table, _CIFAR, name, method, ("a",), options)
            yield Row(paper, table, _CIFAR, f"{name} + SAM", f"{method}+sam", ("a",), options)
    large = ("saddle-inat", "saddle-imagenet")
    data = f"{_LARGE['inat']}, {_LARGE['imagenet']}"
    yield Row(paper, "3", data, "CE", "ce", large)
    for name in ("CE + DRW", "LDAM + DRW"):
        yield Row(paper, "3", data, name, bases[name], large)
        options = "--settings schedule=step-inat" if name == "CE + DRW" else ""
        for title, recipe in zip(data.split(", "), large, strict=True):
            further = options if recipe == "saddle-inat" else ""
            yield Row(paper, "3", title, f"{name} + SAM", f"{bases[name]}+sam", (recipe,), further)
    for name, rule in {
        "": "",
        " + PGD": "+pgd",
        " + LPF-SGD": "+lpf-sgd",
        " + SAM": "+sam",
    }.items():
        yield Row(paper, "4", _CIFAR, f"CE + DRW{name}", f"ce-drw{rule}", ("a",))
    for name, method in {"IB": "ib", "PaCo": "paco"}.items():
        yield Row(paper, "App. E", _CIFAR, name, method, (method,))
        yield Row(paper, "App. E", _CIFAR, f"{name} + SAM", f"{method}+sam", (method,))


def _cc_sam() -> Iterator[Row]:
    paper, places = "CC-SAM", ("cc-sam-places",)
    yield Row(paper, "1", _CIFAR, "CC-SAM", "ce-autoaugment-adversarial+cc-sam", ("d",))
    weights = "--pretrained resnet152.pth"
    for name, method, setting in (
        ("cRT", "crt", ""),
        ("cRT, Stage 1 + dir", "crt+cc-sam", " --settings ascent=direction"),
        ("cRT, Stage 1 + mag", "crt+cc-sam", " --settings ascent=magnitude"),
        ("cRT, Stage 1", "crt+cc-sam", ""),
        ("cRT, both stages", "cc-sam", ""),
    ):
        yield Row(paper, "2", _LARGE["places"], name, method, places, weights + setting)
    for table, further in (("3", ""), ("4", " (open set: diagnose --eval open=open:PATH)")):
        for large, options in (
            ("imagenet", "--model resnet50"),
            ("imagenet", ""),
            ("places", weights),
            ("inat", ""),
        ):
            if table == "3" or options:
                recipe = f"cc-sam-{large}"
                name = f"CC-SAM{further}"
                yield Row(paper, table, _LARGE[large], name, "cc-sam", (recipe,), options)


def _plot() -> Iterator[Row]:
    paper, cifar10 = "PLOT", "CIFAR-10-LT"
    softmax = {"Balanced Softmax": ("la-autoaugment", "d")}
    for name, (method, recipe) in (_PLOT_BASES | softmax).items():
        yield Row(paper, "1", cifar10, name, method, (recipe,))
        for solver, rule in _MOO.items():
            row, sentence = f"{name} w/ {solver}", f"{method}+{rule}"
            early = "--settings shared_epochs=0.25"
            yield Row(paper, "1", cifar10, f"{row}, early stop", sentence, (recipe,), early)
            yield Row(paper, "1", cifar10, f"{row}, naïve", sentence, (recipe,))
    further = {
        "Logit Adjustment": ("la", "d"),
        "BBN": ("bbn", "bbn"),
        "PaCo": ("paco", "paco"),
    }
    for name, (method, recipe) in (_PLOT_BASES | further).items():
        table = "suppl. 4" if name in {"BBN", "PaCo"} else "2, suppl. 4"
        data = "CIFAR-100-LT" if name == "PaCo" else _CIFAR
        yield Row(paper, table, data, name, method, (recipe,))
        yield Row(paper, table, data, f"{name} + PLOT", f"{method}+plot", (recipe,))
    yield from _plot_large(paper)
    for name, method, options in (
        ("cRT + Mixup", "crt-mixup", ""),
        ("w/ temp", "crt-mixup+cagrad", " --settings shared_epochs=0.25"),
        ("w/ temp, anti", "crt-mixup+plot", " --settings variability=0"),
        ("w/ temp, anti, var", "crt-mixup+plot", ""),
    ):
        yield Row(paper, "4", cifar10, name, method, ("d",), f"--imbalance 200{options}")
    timed = {"CE": "ce", "LDAM-DRW": "ldam-drw", "cRT + Mixup": "crt-mixup"}
    timed |= {f"{name} + PLOT": f"{timed[name]}+plot" for name in ("cRT + Mixup", "LDAM-DRW")}
    for name, method in timed.items():
        yield Row(paper, "suppl. 2 (time)", cifar10, name, method, ("d",))


def _plot_large(paper: str) -> Iterator[Row]:
    for large in ("places", "imagenet", "inat"):
        recipe, weights = f"plot-{large}", "--pretrained resnet152.pth" if large == "places" else ""
        model = "--model resnet50" if large == "imagenet" else weights
        for name, method, options in (
            ("cRT + Mixup", "crt-mixup", weights),
            ("cRT + Mixup + PLOT", "crt-mixup+plot", weights),
            ("MiSLAS + PLOT", "mislas+plot", model),
        ):
            yield Row(paper, "3, suppl. 3", _LARGE[large], name, method, (recipe,), options)
    yield Row(
        paper, "suppl. 3", "ImageNet-LT", "BCL + PLOT", "bcl+plot", ("plot-imagenet",),
        "--model resnet50",
    )  # fmt: skip
    for large, options in (("imagenet", ""), ("places", "--pretrained resnet152.pth")):
        row = "cRT + Mixup + PLOT (open set: diagnose --eval open=open:PATH)"
        recipe = (f"plot-{large}",)
        yield Row(paper, "suppl. 1", _LARGE[large], row, "crt-mixup+plot", recipe, options)


def _focal_sam() -> Iterator[Row]:
    paper = "Focal-SAM"
    large = ("focal-sam-imagenet", "focal-sam-inat")
    both = f"{_LARGE['imagenet']}, {_LARGE['inat']}"
    for name, rule in _SAMS.items():
        if rule:
            data, recipes = f"{_CIFAR}, {both}", ("b", "b", *large)
            yield Row(paper, "1 (time)", data, name[1:], f"la{rule}", recipes)
    for table, data, losses in (
        ("2", "CIFAR-100-LT", ("CE", "LA")),
        ("5", "CIFAR-10-LT", tuple(_LOSSES)),
        ("6", "CIFAR-100-LT", ("LDAM+DRW", "VS")),
    ):
        for loss in losses:
            for name, rule in _SAMS.items():
                yield Row(paper, table, data, loss + name, _LOSSES[loss] + rule, ("b",))
    for name, rule in _SAMS.items():
        if name != "+CC-SAM":
            yield Row(paper, "3", both, f"LA{name}", f"la{rule}", large)
    for tuning, (recipe, options) in _TUNINGS.items():
        for name, rule in _SAMS.items():
            row, method = tuning + name, f"la{rule}"
            data = "CIFAR-100-LT (2), CIFAR-10-LT (5), " + both.replace(",", " (3),") + " (3)"
            yield Row(paper, "2, 3, 5", data, row, method, (recipe,), options)
            judged = "ImageNet-LT, judged with --eval on ImageNet-Sketch, -V2 and -C"
            yield Row(paper, "4, 7", judged, row, method, (recipe,), options)
    yield from _aligned(paper)


def _aligned(paper: str) -> Iterator[Row]:
    """List the rows of equal cost: SAM half as long again as Focal-SAM."""
    for rule, name, epochs in (("+sam", "+SAM", 300), ("+focal-sam", "+Focal-SAM", 200)):
        length = f"--epochs {epochs}"
        for loss, method in _LOSSES.items():
            yield Row(paper, "8", "CIFAR-100-LT", loss + name, method + rule, ("b",), length)
        for table, large in (("9", "imagenet"), ("10", "inat")):
            recipe = (f"focal-sam-{large}",)
            yield Row(paper, table, _LARGE[large], f"LA{name}", f"la{rule}", recipe, length)
        for tuning, (recipe_name, options) in _TUNINGS.items():
            length = f"{options} --epochs {epochs // 10}"
            data = "CIFAR-100-LT (8), ImageNet-LT (9)"
            yield Row(paper, "8, 9", data, tuning + name, f"la{rule}", (recipe_name,), length)


def _gkp_gsa() -> Iterator[Row]:
    paper, cifar100 = "GKP-GSA", "CIFAR-100-LT"
    yield Row(paper, "1", _CIFAR, "Ours", "gkp-gsa", ("c",))
    both = f"{_LARGE['imagenet']}, {_LARGE['inat']}"
    yield Row(paper, "2", both, "Ours", "gkp-gsa", ("gkp-gsa-imagenet", "gkp-gsa-inat"))
    wide = "--model resnext50"
    yield Row(paper, "3", "ImageNet-LT", "Ours", "gkp-gsa", ("gkp-gsa-imagenet",), wide)
    for base in ("ce", "bcl"):
        for rules in ("", "+gkp", "+gsa", "+gkp+gsa"):
            if (base, rules) != ("ce", "+gsa"):
                row = (base + rules).upper()
                yield Row(paper, "4", cifar100, row, base + rules, ("c",))
    for name, method, options in (
        ("SAM", "bcl+gkp+sam", ""),
        ("GSA-proj", "bcl+gkp+gsa", "--settings direction=shared"),
        ("GSA", "bcl+gkp+gsa", ""),
    ):
        yield Row(paper, "5", cifar100, name, method, ("c",), options)
    for strength in (10, 50, 100, 500, 1000):
        options = f"--settings penalty={strength}"
        yield Row(paper, "6", cifar100, f"λ = {strength}", "gkp-gsa", ("c",), options)
    for name, method in {"CE": "ce", "BCL": "bcl", "Ours": "gkp-gsa"}.items():
        yield Row(paper, "7 (time)", cifar100, name, method, ("c",))


def page() -> str:
    """Write the page."""
    lines, paper = [_HEAD], ""
    for row in rows():
        if row.paper != paper:
            paper = row.paper
            lines += [
                f"\n## {paper}\n",
                "| table | data | row | `--method` | `--recipe` | further |",
            ]
            lines += ["|---|---|---|---|---|---|"]
        recipes = ", ".join(f"`{name}`" for name in dict.fromkeys(row.recipes))
        options = f"`{row.options}`" if row.options else ""
        cells = (row.table, row.data, row.row, f"`{row.method}`", recipes, options)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
