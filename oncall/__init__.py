"""Who is on call and who is next (pure), and the pagers. Its place is kept; the night watch furnishes it."""
