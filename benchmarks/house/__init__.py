"""How large the rooms are."""
