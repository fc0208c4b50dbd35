"""EAS commands: bytes and headers in, values out; values in, documents out. No I/O."""
