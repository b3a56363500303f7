"""A record becomes a page or an outcome, the cheapest test first."""
