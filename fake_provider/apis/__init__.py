"""The APIs of real providers, spoken so that their own clients can talk to this one: over the same payments, the same book.

Each is closed and answers errors in its own way. The generic business API is in `fake_provider.app`.
"""
