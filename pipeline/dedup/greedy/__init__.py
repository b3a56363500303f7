"""The greedy mode: a document goes only where it is similar to one that stays."""
