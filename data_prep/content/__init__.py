"""Whether two files show the same image: found by what they show, whatever their names and ids say."""
