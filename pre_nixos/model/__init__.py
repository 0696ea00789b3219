"""Nouns: what a machine, a layer and a plan are. Pure: no input, no output, no clock."""
