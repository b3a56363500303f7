"""Rules for web text: pure functions from a document to a number, and what each number may be."""
