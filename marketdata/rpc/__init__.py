"""RPC: the server around the servicers."""
