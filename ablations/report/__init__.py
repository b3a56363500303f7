"""A study's results for people: verdict.md, verdict.json, figures."""
