"""Bytes to records, whatever the bytes: WARC, ARC and WET in gzip, lz4 or plain."""
