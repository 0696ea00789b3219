"""What people leave on disks, one story each: it must all go, or be refused in words."""
