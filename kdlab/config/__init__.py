"""The settings of a run: what there is, how layers of them become one, and files of them."""
