"""The mean corruption error of ImageNet-C (Hendrycks & Dietterich 2019), normalised by AlexNet's.

CE_c = mean_s E_(c,s) / mean_s E_(c,s) of AlexNet, over five severities; mCE is its mean over the
fifteen corruptions. No tensor library is imported here.
"""

from collections.abc import Mapping
from statistics import fmean

from landscape.errors import InputError

SEVERITIES = (1, 2, 3, 4, 5)
# AlexNet's error of each corruption, mean of its severities, as the authors publish them
ALEXNET = {
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "glass_blur": 0.826268,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "snow": 0.866816,
    "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "elastic_transform": 0.646056,
    "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
}


def mean_corruption_error(errors: Mapping[tuple[str, int], float]) -> float:
    """Compute mCE, as a share of AlexNet's.

    Args:
        errors: share of wrong predictions of each corruption and severity.

    Raises:
        InputError: one is missing.
    """
    missing = [f"{c}/{s}" for c in ALEXNET for s in SEVERITIES if (c, s) not in errors]
    if missing:
        raise InputError(
            f"mCE is a mean over {len(ALEXNET)} corruptions of five severities, and "
            f"{', '.join(missing[:3])} are not there; judge them too"
        )
    return fmean(
        fmean(errors[name, severity] for severity in SEVERITIES) / alexnet
        for name, alexnet in ALEXNET.items()
    )
