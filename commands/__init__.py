"""One file per thing a person can say; found by discovery; help is generated from them."""
