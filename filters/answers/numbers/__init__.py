"""Numbers in answers: how they are written, with which unit, and when one is all that is said."""
