"""Ingestion: how bars come in."""
