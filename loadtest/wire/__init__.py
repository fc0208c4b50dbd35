"""The bytes of simulated phones: requests as a phone writes them, answers read into values."""
