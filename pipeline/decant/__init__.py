"""CommonCrawl WARC in, deduplicated pretraining corpus out, and proof of which filters pay."""
