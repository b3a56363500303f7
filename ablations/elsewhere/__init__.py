"""Arms that others train: their token files and parts, and verdicts from the results."""
