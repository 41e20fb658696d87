"""End-to-end stories: the built gateway, as a process, between stand-ins."""
