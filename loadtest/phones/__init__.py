"""The phones of one process, and the account of what reached them. Begin with ``phone``."""
