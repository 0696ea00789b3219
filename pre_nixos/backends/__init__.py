"""One module for each storage technology; each uses the same door as everyone else's."""
