"""What models are asked: questions, held-out texts, and the numbers they get."""
