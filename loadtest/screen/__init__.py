"""What a person sees in a terminal, during a run and after it. Begin with ``view``."""
