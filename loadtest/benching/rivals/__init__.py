"""What others would have written: servers to compare the gateway with."""
