"""fastText's language classifier: its file, and its score bit for bit."""
