"""The 3D image: checked reading and writing, orientation, resampling and back, intensities, label tables."""
