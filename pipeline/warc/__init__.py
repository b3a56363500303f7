"""Bytes to records, whatever the bytes: WARC, ARC and WET in gzip, zstd, lz4 or plain."""
