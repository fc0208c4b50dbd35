"""The written reports of a run: HTML for people, JSON, CSV, HDR and JUnit files for programs."""
