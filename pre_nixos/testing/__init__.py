"""For authors of plugins: the suite every backend must pass, and fixtures."""
