"""Histograms in HdrHistogram's percentile format, which its public plotters read."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from loadtest.figures import Figures, Histogram

_US_PER_MS: Final = 1000.0
_DEVIATION: Final = b"StdDeviation   = %12.3f]"


def render(histogram: Histogram) -> bytes:
    """Return the distribution as text, values in milliseconds."""
    text = BytesIO()
    histogram.counts.output_percentile_distribution(text, _US_PER_MS)
    # the library scales all values but this one
    deviation = histogram.counts.get_stddev()
    wrong, right = _DEVIATION % deviation, _DEVIATION % (deviation / _US_PER_MS)
    return text.getvalue().replace(wrong, right)


def files(figures: Figures) -> dict[str, bytes]:
    """Return the files to write by their names, one for each histogram that has data."""
    return {
        f"{name}.hgrm": render(one) for name, one in sorted(figures.histograms.items()) if one.count
    }
