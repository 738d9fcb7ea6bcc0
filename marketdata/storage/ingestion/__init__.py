"""Ingestion runs in the database: what was asked for, who executes it, how far it is."""
