"""What the README and the deploy documents say is run as it stands there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pushgw import telemetry
from pushgw.settings import load

if TYPE_CHECKING:
    from tests.integration.conftest import Hold, StartGateway
    from tests.integration.gateway import Gateway, Valkey
    from tests.integration.phone import Phone

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXPECTED = {
    "readyz": '"ready":true',
    "/v1/changes": '"recorded":1',
    "/metrics": "pushgw_held_pings",
    "| .venv/bin/pushgw encode": "",
    "Cmd=FolderSync": "<DisplayName>Inbox</DisplayName>",
    "Cmd=Ping": "<Status>2</Status><Folders><Folder>5</Folder></Folders></Ping>",
    "pushgw check": "heartbeat.max",
    "loadtest run": "lost 0",
    "loadtest plan": "Redmond",
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines()]


def here(line: str, gateway: Gateway, directory: Path) -> str:
    """Translate a command of the README to this gateway's ports and this environment."""
    replaced = {
        "127.0.0.1:8800": f"127.0.0.1:{gateway.eas}",
        "127.0.0.1:8801": f"127.0.0.1:{gateway.admin}",
        "/tmp/": f"{directory}/",  # noqa: S108 (what the README says)
        ".venv/bin/pushgw": f"{shlex.quote(sys.executable)} -m pushgw",
        ".venv/bin/loadtest": f"{shlex.quote(sys.executable)} -m loadtest",
    }
    for found, ours in replaced.items():
        line = line.replace(found, ours)
    return line


async def run(command: str) -> str:
    process = await asyncio.create_subprocess_shell(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, (command, err.decode())
    return out.decode()


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("make ")])
def test_make_targets_exist(line: str) -> None:
    """Each make target of the README is one of the Makefile."""
    done = subprocess.run([*shlex.split(line), "-n"], cwd=ROOT, capture_output=True, check=False)

    assert 0 == done.returncode


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tour uses curl, which is not here")
async def test_tour(start_gateway: StartGateway, valkey: Valkey, tmp_path: Path) -> None:
    """The commands of the tour, in their order, print what the README says."""
    gateway = start_gateway(valkey.url)
    tour = [line for line in commands() if not line.startswith("make ")]
    publish = next(line for line in tour if "/v1/changes" in line)
    for line in tour:
        expected = next(text for part, text in EXPECTED.items() if part in line)
        command = asyncio.ensure_future(run(here(line, gateway, tmp_path)))
        if "Cmd=Ping" in line:
            while not gateway.metric("pushgw_held_pings"):  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.02)
            await run(here(publish, gateway, tmp_path))

        assert expected in await command


async def test_commands_of_a_backend(phone: Phone, hold: Hold, valkey: Valkey) -> None:
    """The Redis commands of the README wake a phone."""
    (block,) = (text for text in blocks("text") if text.startswith("MULTI"))
    await hold(phone, "5")
    with contextlib.ExitStack() as stack:
        redis = valkey.client().connection_pool.get_connection()
        stack.callback(redis.disconnect)
        for line in block.replace("alice@example.org", phone.who.user).splitlines():
            name, *rest = line.split(" ", 2) if line.startswith("PUBLISH") else line.split()
            redis.send_command(name, *rest)
            redis.read_response()

    assert (2, ("5",)) == ((answer := await phone.receive()).status, answer.folders)


async def test_python_of_a_backend(phone: Phone, hold: Hold, valkey: Valkey) -> None:
    """The Python lines of the README wake a phone."""
    (code,) = blocks("python")
    ours = code.replace("alice@example.org", phone.who.user)
    await hold(phone, "5")

    await asyncio.to_thread(exec, ours.replace("redis://127.0.0.1:6379", valkey.url), {})

    assert 2 == (await phone.receive()).status


def test_case_study_is_what_is_printed() -> None:
    """The table of the README is the planner's, to the letter."""
    (block,) = (text for text in blocks("text") if text.startswith("2012 and now"))
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "plan", "--case-study"],
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        check=True,
        text=True,
    )
    printed = [line.rstrip() for line in done.stdout.splitlines()]

    assert block.splitlines() == printed[: len(block.splitlines())]


def test_settings_are_settings(tmp_path: Path) -> None:
    """The settings file of the README is one."""
    (text,) = blocks("toml")
    file = tmp_path / "pushgw.toml"
    file.write_text(text)

    settings = load(file, {}, {}, for_server=False).settings

    assert tomllib.loads(text)["heartbeat"]["max"] == settings.heartbeat.max


def test_metrics_are_listed() -> None:
    """The deploy documents list all metrics, as the code describes them."""
    text = (ROOT / "deploy/README.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `pushgw_")]

    expected = [
        f"| `{one.name}` | {one.kind} | {', '.join(one.labels)} | {one.meaning} |"
        for one in telemetry.METRICS
    ]
    assert expected == rows
