"""How plugins are asked: the specifications, the marks, the typed calls and the registry."""
