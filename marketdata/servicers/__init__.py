"""Servicers: one module per gRPC service; they translate, call and translate back."""
