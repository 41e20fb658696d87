"""What the plugin loader refuses, with the words it says."""
