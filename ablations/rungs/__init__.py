"""The models of the ladder, the smallest first, and how each is trained."""
