"""The composition root: settings in, processes out.

    supervisor    no event loop; binds the listening sockets, forks and watches the others
      valkey      only when redis.url is "embedded"
      worker-N    holds phones; each has a listening socket of its own on the same port
      admin       health, metrics, published changes

The supervisor keeps the listening sockets open: connections queued for a worker that dies are
served by its successor.
"""

from pushgw.app.plan import StartError, capacity, taken_ports
from pushgw.app.server import serve

__all__ = ["StartError", "capacity", "serve", "taken_ports"]
