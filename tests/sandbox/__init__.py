"""Stand-ins for the platforms: processes that behave as the documentation says, and keep books."""
