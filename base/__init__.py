"""What every layer may build on and what knows none of them."""
