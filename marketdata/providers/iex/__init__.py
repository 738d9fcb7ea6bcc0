"""IEX prints, since IEX Cloud closed in August 2024: Alpaca's ``feed=iex``, and Tiingo's IEX endpoint.

Each is a provider of its own name (``alpaca``, ``tiingo``): their bars come from the same venue and
still differ, and a bar says where it is from. ``iex`` is a name for whichever of them has keys.
"""
