"""Temporal smoothing: an exponential moving average over the frames.

    y_0 = x_0,   y_k = (1 - keep) x_k + keep y_(k-1)

`keep` is the share of the frame before that is kept: 0 changes nothing. The average lags by keep / (1 - keep) frames
behind slow movements, and its time constant is -1 / ln(keep) frames (Brown 1956, "Exponential Smoothing for Predicting
Demand").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ema(values: NDArray[np.floating], keep: float) -> NDArray[np.float32]:
    """Return `values` (frames, ...) smoothed over the frames."""
    if not 0.0 <= keep < 1.0:
        raise ValueError(f"a share of {keep:g} kept, 0 to below 1 needed")
    smooth = np.array(values, np.float64)
    if keep > 0.0:
        for frame in range(1, len(smooth)):
            smooth[frame] = (1.0 - keep) * smooth[frame] + keep * smooth[frame - 1]
    return smooth.astype(np.float32)
