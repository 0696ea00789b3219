"""The command line: says what the library finds and asks before it does anything. All it knows, it asks the library."""
