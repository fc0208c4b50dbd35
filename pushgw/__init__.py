"""Direct Push gateway for Exchange ActiveSync."""
