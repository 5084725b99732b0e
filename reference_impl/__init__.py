"""A top-up service done right: payments become credit exactly once. Start with `README.md`."""
