"""``loadtest lend``."""

from __future__ import annotations

import signal

import pytest

from loadtest.generators import lender

SECRET = "0123456789abcdef"


@pytest.fixture
def secret(tmp_path) -> str:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    return str(path)


@pytest.mark.parametrize(
    ("listen", "text"),
    [
        ("9400", "--listen: found '9400', allowed is an address like 10.0.0.2:9400"),
        ("127.0.0.1:x", "--listen: found '127.0.0.1:x', allowed is an address"),
        ("192.0.2.1:9400", "--listen: found 192.0.2.1:9400, cannot assign requested address"),
    ],
)
def test_a_wrong_address_is_refused(refused, secret, listen, text) -> None:
    """An address that is none, or none of this host, ends with status 2 and one line."""
    (line,) = refused("lend", "--secret-file", secret, "--listen", listen)

    assert line.startswith(text)


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "No such file or directory"), ("short", "found 5 bytes, at least 16 are needed")],
)
def test_a_wrong_secret_is_refused(refused, tmp_path, content, text) -> None:
    """A secret that cannot be read, or could be guessed, ends with status 2 and one line."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)

    assert [f"--secret-file {path}: {text}"] == refused("lend", "--secret-file", str(path))


def test_a_secret_is_needed(invoke) -> None:
    """Nobody lends processes to everybody."""
    found = invoke("lend")

    assert 2 == found.exit_code
    assert "--secret-file" in found.stderr


def test_the_help_tells_what_is_asked_for(invoke) -> None:
    """The help names the address, the secret and the hosts that may be loaded."""
    found = invoke("lend", "--help")

    assert 0 == found.exit_code
    assert all(name in found.stdout for name in ("--listen", "--secret-file", "--allow-target"))


def test_a_lender_lends_until_a_signal(start, secret) -> None:
    """A lender says where it listens, lends a process, and ends with a signal's status."""
    with start("lend", "--secret-file", secret, "--listen", "127.0.0.1:0") as process:
        line = process.stdout.readline()
        address = lender.parse_address(line.removeprefix("listening on ").strip())
        lender.hire(address, SECRET.encode()).close()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)

    assert (130, "", "") == (process.returncode, output, errors)
