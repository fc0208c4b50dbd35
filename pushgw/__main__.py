"""``python -m pushgw`` is the command ``pushgw``."""

from __future__ import annotations

from pushgw.cli import main

if __name__ == "__main__":
    main()
