"""Take a machine's disks from whatever is on them to exactly what was asked for, safely, and prove it."""
