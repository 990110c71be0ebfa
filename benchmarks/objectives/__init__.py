"""Source-domain comparison of the five objectives on equal updates."""
