"""Ways to stand a system up, and the real parts that it is made of."""
