"""Random kills, stops and restarts of everything, and a checker of the history that comes out of them."""
