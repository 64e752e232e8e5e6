"""Put what a paper claims of a figure beside what the runs at hand say."""

from figures.request import Request
from figures.runs.history import snapshots
from landscape.results.spectrum import Spectrum
from landscape.results.table import bracket


def side_by_side(claim: str, request: Request) -> list[str]:
    """Write the claim, and the verdict of every scope that the figure shows of every run.

    Args:
        claim: of the paper, on the ends of spectra; empty for none.
        request: of the figure.
    """
    if not claim:
        return []
    found = snapshots(request.spectrum_runs(), Spectrum, request.checkpoint)
    said = []
    for one in found:
        words = []
        for scope in request.scopes:
            at = one.record.index(scope)
            low = bracket(*one.record.lambda_min_bracket[at])
            words.append(f"{one.scope_label(scope)} {one.record.verdict[at]} (λmin {low})")
        said.append(f"{one.label}: {', '.join(words)}")
    return [f"the paper: {claim}", f"these runs: {'; '.join(said)}"]
