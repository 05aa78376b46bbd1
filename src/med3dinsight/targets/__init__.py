"""The targets of pre-training: projected 2D features of slices and texts, from files or computed when asked for."""
