"""L2A: tables and figures of the paper, and whether its selector learns."""
