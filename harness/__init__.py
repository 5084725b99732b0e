"""The machine: plans in, verdicts out. It knows no provider, no service and no scenario by name."""
