"""Decide whether two files show the same image, by content alone, whatever their names and ids."""
