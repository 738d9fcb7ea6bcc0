"""What every provider over HTTP shares: calls that are paced, counted, bounded, retried and keyless."""
