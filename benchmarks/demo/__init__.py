"""What `inflamap demo` shows beyond running the other commands: maps against the truth, and a page to look at."""
