"""Providers: companies whose bars this service reads, a folder each."""
