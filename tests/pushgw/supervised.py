"""A server whose processes do nothing, for the tests of the supervisor; not a test itself.

Its argument is JSON: ``stop_within``, and ``roles`` as pairs of a name and a behaviour. It prints
one line for each thing that happens.
"""

import json
import os
import signal
import subprocess
import sys

import structlog

from pushgw import telemetry
from pushgw.workers import Role, Supervisor


def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def behave(name, behaviour):
    if behaviour == "failing":
        raise RuntimeError("found no ground, allowed solid ground")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    say("ready", name, os.getpid())
    signal.sigwait({signal.SIGTERM})
    if behaviour == "deaf":
        signal.pause()
    say("ended", name)
    return 0


def main():
    facts = json.loads(sys.argv[1])
    telemetry.configure("info", "json", sys.stderr)
    roles = [
        Role(name, lambda name=name, how=how: behave(name, how), stops_last=how == "last")
        for name, how in facts["roles"]
    ]
    with subprocess.Popen(["/bin/sh", "-c", "exit 7"]) as foreign:
        status = Supervisor(
            roles,
            stop_within=facts["stop_within"],
            log=structlog.get_logger(),
            on_stop=lambda: say("stopping"),
        ).run()
        say("foreign", foreign.wait())
    return status


if __name__ == "__main__":
    sys.exit(main())
