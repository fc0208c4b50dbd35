"""The mail of a change is a mail."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default

import pytest

from loadtest.publishers.mail import compose


@pytest.mark.parametrize("mailbox", ["alice@example.org", "user1", "Zoë@example.org"])
def test_a_mail_has_the_headers_that_servers_ask_for(mailbox: str) -> None:
    """From, To, Subject, Message-ID and Date are there, and the subject is the tag."""
    found = message_from_bytes(compose(mailbox, "run 7-1", 86_400.0), policy=default)

    assert {
        "From": "Load test <loadtest@localhost>",
        "To": mailbox,
        "Subject": "run 7-1",
        "Message-ID": "<run-7-1@loadtest.invalid>",
        "Date": "Fri, 02 Jan 1970 00:00:00 -0000",
    } == {name: str(found[name]) for name in ("From", "To", "Subject", "Message-ID", "Date")}


def test_lines_end_as_the_wire_wants_it() -> None:
    """There is no line feed without a carriage return."""
    found = compose("alice", "tag", 0.0)

    assert found.count(b"\n") == found.count(b"\r\n") > 5


def test_a_line_break_in_a_tag_is_refused() -> None:
    """Nobody can smuggle in a header."""
    with pytest.raises(ValueError, match="linefeed"):
        compose("alice", "tag\r\nBcc: bob", 0.0)
