"""What people and other programs read: trees, diagrams, configuration."""
