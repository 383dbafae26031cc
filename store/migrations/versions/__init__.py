"""One file a version. Never changed once released: a file of that version exists somewhere."""
