"""The capacity planner: a measured cost model, a demand, and the nodes that it asks for."""
