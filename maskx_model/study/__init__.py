"""Studies of the mask branch on one frozen detector: which variant to choose, and the paper's tables in small."""
