"""Layouts in the vocabulary of Disko: read, checked, made into what is wanted, and written back.

Which types there are is not known here: each is read and written by the plugin that owns it.
"""
