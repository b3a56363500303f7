"""What a run came to, for people: funnel, histograms, duplicates, one page."""
