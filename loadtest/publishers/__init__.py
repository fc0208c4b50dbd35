"""How changes are made, in the ways that mail backends understand."""

from loadtest.publishers.address import PUBLISHERS, parse_address, takes
from loadtest.publishers.opening import open_publisher
from loadtest.publishers.publishing import PublisherError, Publishes, PublishFailedError

__all__ = [
    "PUBLISHERS",
    "PublishFailedError",
    "PublisherError",
    "Publishes",
    "open_publisher",
    "parse_address",
    "takes",
]
