"""Attack recipes, each one short file of composition."""
