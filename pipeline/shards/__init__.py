"""Survivors to published files, in a shuffled order and bounded memory."""
