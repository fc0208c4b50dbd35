"""What operators see: health, metrics and the state of all workers of a node."""
