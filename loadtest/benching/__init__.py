"""The bench: a server alone on this host with a fresh Valkey, and a load of its own beside it."""
