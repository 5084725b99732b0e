"""Requests that meet in the database, for the engine that tries every order. The README of the folder above lists them."""
