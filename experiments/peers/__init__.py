"""kdlab beside what people use instead, as whole processes on the same data and models (``make bench-peers``)."""
