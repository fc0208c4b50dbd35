"""Measures what the gateway costs on this host: the cost model of the capacity planner.

``experiments`` make ``samples``, ``costs`` fits figures to them, ``measuring`` does all of it.
"""
