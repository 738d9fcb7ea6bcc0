"""Wire: between protobuf messages and the domain, both directions."""
