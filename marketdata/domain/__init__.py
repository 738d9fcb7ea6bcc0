"""Domain: pure rules and types of market data. No IO, no protobuf, no SQL."""
