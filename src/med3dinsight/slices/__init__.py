"""Which slices of a volume are looked at, and how a radiologist's viewer would show them."""
