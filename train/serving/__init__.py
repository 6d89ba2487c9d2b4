"""The page of `python -m train serve`: a server for one person, and what it shows."""
