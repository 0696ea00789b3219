"""The pre-nixos command: it parses, asks, calls the library and prints."""
