"""Speed and memory of kdlab against loops written by hand; `make bench` runs them."""
