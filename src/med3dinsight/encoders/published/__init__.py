"""Key layouts of weights that others published, one network a file: from their names to ours and back."""
