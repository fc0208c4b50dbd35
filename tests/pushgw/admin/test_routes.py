import socket

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from pushgw.admin.control import WorkerState, serve_control, socket_path
from pushgw.admin.fleet import Fleet
from pushgw.admin.routes import admin_app, serve_admin


async def publish(_request):
    """Record changes of mailboxes.

    More of it.
    """
    return web.Response(status=202)


async def refuse(_request):
    raise web.HTTPConflict(text='{"error":"its own words"}', content_type="application/json")


@pytest.fixture
async def app(tmp_path):
    def state():
        return WorkerState(pid=1, held=0, connections=0, draining=False, redis=True)

    path = socket_path(tmp_path, 0)
    async with serve_control(path, state):
        yield admin_app(
            Fleet({"0": path}),
            [web.post("/v1/changes", publish), web.put("/v1/changes", refuse)],
        )


@pytest.fixture
async def client(app):
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture
async def empty():
    async with TestClient(TestServer(admin_app(Fleet({})))) as client:
        yield client


async def test_process_is_alive(client):
    """The health check says ok."""
    response = await client.get("/healthz")

    assert (200, "ok\n") == (response.status, await response.text())


async def test_node_is_ready(client):
    """A node whose workers can serve is ready."""
    response = await client.get("/readyz")

    assert 200 == response.status
    assert {"ready": True, "reasons": []} == await response.json()


async def test_node_is_not_ready(empty):
    """A node that is not ready says why, with a status that takes it out of balancing."""
    response = await empty.get("/readyz")

    assert 503 == response.status
    assert {"ready": False, "reasons": ["no worker is expected to run"]} == await response.json()


async def test_metrics_are_text(client):
    """Metrics come in the text format under its own media type."""
    response = await client.get("/metrics")

    assert response.headers["Content-Type"].startswith("text/plain; version=")
    assert "# TYPE pushgw_held_pings gauge" in (await response.text()).splitlines()


async def test_index_lists_all_routes(client):
    """The front page lists what is mounted, with the first line of what it does."""
    text = await (await client.get("/")).text()

    assert [
        "pushgw, admin listener",
        "",
        "GET    /                   List what is there.",
        "GET    /healthz            Tell that this process is alive.",
        "GET    /readyz             Tell whether this node should get new phones, and why not.",
        "GET    /metrics            Metrics of all workers, for Prometheus.",
        "POST   /v1/changes         Record changes of mailboxes.",
        "PUT    /v1/changes",
    ] == text.splitlines()


async def test_further_route_is_served(client):
    """Routes given to the application are served."""
    assert 202 == (await client.post("/v1/changes")).status


async def test_unknown_path(client):
    """A path that does not exist is one line of JSON."""
    response = await client.get("/nothing")

    assert (404, "application/json") == (response.status, response.content_type)
    assert '{"error":"Not Found: GET /nothing"}\n' == await response.text()


async def test_wrong_method(client):
    """A wrong method is one line of JSON, and the header says which are allowed."""
    response = await client.post("/healthz")

    assert (405, "GET,HEAD") == (response.status, response.headers["Allow"])
    assert {"error": "Method Not Allowed: POST /healthz"} == await response.json()


async def test_error_in_json_is_kept(client):
    """An error that speaks JSON already keeps its words."""
    response = await client.put("/v1/changes")

    assert (409, '{"error":"its own words"}') == (response.status, await response.text())


async def test_served_on_a_bound_socket(app):
    """The application is served on the socket that the root has bound."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with (
            serve_admin(app, listener),
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/healthz") as response,
        ):
            status = response.status

    assert 200 == status
