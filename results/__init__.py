"""The database of measurements: records, schema, store."""
