"""Asks a chat model about many slices: nothing paid is lost or paid twice, and a budget is a hard cap."""
