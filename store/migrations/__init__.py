"""How the tables came to be, one file a version; run when the database is opened."""
