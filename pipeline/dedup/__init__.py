"""Signatures to decisions: band keys, pairs, clusters, survivors, in sorted files."""
