"""A finished run as documents, and the arms of a study as masks over them."""
