"""The rivals: methods of others, one a file, in the same loop on the same data and budget."""
