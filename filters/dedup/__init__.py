"""Sameness: which questions are one for training, and which stand in a benchmark."""
