"""What Nchan and those that use it say to each other, as HTTP.

Nchan has no long poll by POST: the head of a poll is that of a phone's Ping as a proxy passes it
on, 555 bytes, without a body.
"""

from __future__ import annotations

import re
from typing import Final

from loadtest.wire import heads
from pushgw.wbxml import element, encode

OK: Final = 200
"""Status of a poll that brings a message."""
PUBLISHED: Final = (201, 202)
"""Statuses of a publish, with and without somebody who polls."""
MESSAGE: Final = encode(
    element(
        "Ping",
        "Ping",
        element("Ping", "Status", "2"),
        element("Ping", "Folders", element("Ping", "Folder", "5")),
    )
)
"""What phones are told: that folder 5 changed."""
_POLL: Final = (
    b"GET /sub?Cmd=Ping&User=user%06d&DeviceId=ApplDN6HX%06d&DeviceType=iPhone HTTP/1.1\r\n"
    b"Host: mail.example.org\r\n"
    b"User-Agent: Apple-iPhone14C2/2105.236\r\n"
    b"Authorization: Basic RVhBTVBMRVx1c2VyQGV4YW1wbGUub3JnOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ==\r\n"
    b"MS-ASProtocolVersion: 16.1\r\n"
    b"X-MS-PolicyKey: 3942919513\r\n"
    b"Accept: */*\r\n"
    b"Accept-Language: en-GB,en;q=0.9\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\n"
    b"Connection: keep-alive\r\n"
    b"X-Forwarded-For: 203.0.113.77\r\n"
    b"X-Forwarded-Proto: https\r\n"
    b"X-Request-ID: 7f9c24e8-3b12-4f0a-9f5d-%012d\r\n"
    b"Content-Type: application/vnd.ms-sync.wbxml\r\n\r\n"
)
_PUBLISH: Final = (
    b"POST /pub?User=user%06d HTTP/1.1\r\n"
    b"Host: mail.example.org\r\n"
    b"Content-Type: application/vnd.ms-sync.wbxml\r\n"
    b"Content-Length: " + str(len(MESSAGE)).encode() + b"\r\n\r\n"
)
STATUS: Final = b"GET /status HTTP/1.0\r\n\r\n"
"""Asks how many polls are held; the end of the connection is that of the answer."""
_SUBSCRIBERS: Final = re.compile(rb"^subscribers: (\d+)", re.MULTILINE)


def poll(phone: int) -> bytes:
    """Build the request of a phone that waits for its mailbox, which has the phone's number."""
    return _POLL % (phone, phone, phone)


def publish(mailbox: int) -> bytes:
    """Build the request that changes a mailbox."""
    return _PUBLISH % mailbox + MESSAGE


def status_of(data: bytes) -> int | None:
    """Return the HTTP status of an answer; None while it is not complete."""
    end = data.find(b"\r\n\r\n")
    # Nearly all heads of a second are equal, and read only once.
    found = heads.plain(data[: end + 2]) if end >= 0 else None
    if found is None:
        return None
    head, length = found
    return head.http_status if len(data) >= end + 4 + length else None


def subscribers(data: bytes) -> int:
    """Return how many polls are held, as an answer to ``STATUS`` tells; 0 if it does not."""
    found = _SUBSCRIBERS.search(data)
    return int(found[1]) if found else 0
