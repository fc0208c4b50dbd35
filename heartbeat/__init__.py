"""When a held request must be answered: intervals, deadlines, one timer. Knows nothing of EAS."""
