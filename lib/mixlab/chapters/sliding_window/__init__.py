"""Chapter 02: masks, their ten spellings, what they cost and what they do."""
