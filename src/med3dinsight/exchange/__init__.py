"""Weights to and from other tools."""
