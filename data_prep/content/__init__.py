"""Whether two files show the same photograph: found by what they show, whatever their names and ids say."""
