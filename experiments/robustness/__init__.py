"""The robustness study of Kalmath, Sundar and Chen: its tables and its heatmap (``docs/studies.md``)."""
