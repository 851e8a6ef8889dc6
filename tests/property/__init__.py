"""Random tables, random transactions, and a copy in memory made from the stream: it must be the source."""
