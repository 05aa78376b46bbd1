"""Asks a chat model about many slices: no answer is lost or asked for again, and a budget is a hard cap."""
