"""Files that nobody would write, against every reader: no crash, no hang, no gigabyte for a small file."""
