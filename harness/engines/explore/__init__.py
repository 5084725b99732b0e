"""Stories that nobody wrote: Hypothesis tells them, each is a plan, and the first that is broken is replayed and made shorter."""
