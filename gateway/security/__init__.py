"""PINs, passes, roles: the one room with crypto in it."""
