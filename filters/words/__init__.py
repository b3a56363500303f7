"""The words of a text as integers, and loops over them."""
