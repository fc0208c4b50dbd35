"""What figures are worth: thresholds, comparisons, searches, and whether a run is valid."""
