"""How records move: extract, filter, deduplicate, shard."""
