"""What the command line's verbs do, and how it looks."""
