"""Pictures, reports and cards."""
