"""Profiles: what a run puts on a server. Begin with ``profile``."""
