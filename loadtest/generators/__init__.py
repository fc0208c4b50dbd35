"""Processes that make the load, on this host and on others. Begin with ``generator``."""
