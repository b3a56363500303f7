"""A page becomes text in a child process, and cannot kill us."""
