"""What phones do, as plain values: generators that yield commands and receive outcomes.

No network, clock or dice here: a ``Phone`` performs the commands, a test sends the outcomes by
hand.
"""
