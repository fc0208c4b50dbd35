"""Mailbox changes: recorded in Redis (truth), published (hint), listened to. Knows nothing of EAS."""
