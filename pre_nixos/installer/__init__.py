"""What an installer image needs besides disks: a network port, a way in, and a word about how it went.

Everything here takes the root directory it works below, so that it can be tried without a machine. Nothing here is
imported by the library.
"""
