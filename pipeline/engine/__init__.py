"""Runs steps over storage and knows no page and no rule: tasks, manifests, events, files."""
