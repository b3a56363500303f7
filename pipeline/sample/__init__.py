"""A generated crawl whose every page has a known fate."""
