"""Where plans come from, and the one way in which many of them are carried out."""
