"""What a structure of a case may be, and the metrics: words of the tables, known without torch."""

OK, MISSED, INVENTED, ABSENT = "ok", "missed", "invented", "absent"
METRICS = ("dice", "nsd", "hd95")
BEST = {"dice": 1.0, "nsd": 1.0, "hd95": 0.0}
