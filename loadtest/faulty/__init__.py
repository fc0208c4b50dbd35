"""An EAS server that fails on purpose and tells how: the load generator has to find all of it."""
