"""Files of bars, CSV and Parquet: read into frames with an account of every row, and written.

Read and written with pyarrow (the extra `files`), because it is the only well-kept library that does
all of this at once: it reads CSV and Parquet block by block, whatever the file's size; it hands
malformed rows over instead of failing on them; it keeps cells as text until they are cast, as columns,
without a Python object per cell; and it writes floats in the shortest form that reads back exactly.
The csv module costs 1 to 2 µs a cell, pandas and polars bring a second frame beside `BarFrame`.

IO stands in `csv_source`, `parquet_source` and `bar_sink`; the rest is pure.
"""
