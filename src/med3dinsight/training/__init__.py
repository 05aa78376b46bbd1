"""Bricks of a training loop, none of them a loop."""
