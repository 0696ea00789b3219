"""Ready-made answers to what should be on a machine."""
