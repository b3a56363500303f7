"""Text comes in: rows of parquet, JSONL and Arrow files become documents."""
