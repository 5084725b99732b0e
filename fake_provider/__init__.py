"""A payment provider that keeps an honest book and, on demand, tells it cruelly. It knows no service by name."""
