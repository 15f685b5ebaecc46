"""Mathematics in answers: notation, parsed into trees, read into forms, graded as expressions."""
