"""Stretches of ordinary business that a sweep takes apart. The README of the folder above lists them."""
