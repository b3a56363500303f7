"""Text to a token count."""
