"""Storage: the only place that talks to PostgreSQL."""
