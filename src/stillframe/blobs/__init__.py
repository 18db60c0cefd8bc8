"""Where bytes live: paths in the data directory, objects in S3, and their digests. The only byte-store code."""
