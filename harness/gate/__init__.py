"""The release gate: which engines have their turn, how the time is shared, and which of what they find is new."""
