"""Simulated phones, a publisher, and the account of what was lost."""
