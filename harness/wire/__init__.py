"""The wire tap: one listener per link that understands messages, records them, and can do surgery on exactly one."""
