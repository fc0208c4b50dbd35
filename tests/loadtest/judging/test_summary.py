"""What a comparison reads of a run's summary."""

from __future__ import annotations

from loadtest.judging.summary import Second, Summary
from loadtest.result import Gateway


def test_moments_are_chosen_by_phase() -> None:
    """The moments of some phases come in order."""
    moments = tuple(
        Second(at=float(at), phase=phase, counts={}, recent={}, gateway=Gateway())
        for at, phase in enumerate(["arriving", "running", "running", "settling"])
    )
    run = Summary(
        name="smoke",
        devices=1,
        duration=4.0,
        profile={},
        environment={},
        counts={},
        errors={},
        histograms={},
        moments=moments,
    )

    assert list(moments[:3]) == run.seconds(("arriving", "running"))
