"""What a rule does to the scores, beside drops of the same size that mean nothing."""
