"""Mailbox changes: recorded in Redis (truth), published (hint), heard. Knows nothing of EAS."""
