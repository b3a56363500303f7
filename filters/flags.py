"""What kernels know of a token or a chunk beyond its id: one bit each."""

# Of a token.
ALPHABETIC = 1  # has a letter
WORDLIKE = 2  # has a character that is no symbol: Gopher's non-symbol word
PUNCTUATION_MARK = 4  # spaCy's is_punct: every character of category P
SENTENCE_END = 8  # spaCy's sentencizer closes a sentence with it

# Of a chunk: a special case was joined in it, so its neighbours have a say.
JOINED_WORDS = 1
JOINED_SHINGLES = 2
