"""What each exchange knows: one folder an exchange, all of the same shape. No Django."""
