"""Command line: what operators and engineers type."""

import os

# gRPC prepares for forks that go on running Python. This process has none, and a program that it starts
# beside calls would print a warning. It must be set before grpc is imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
